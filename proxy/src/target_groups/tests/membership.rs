use tokio::time::{Instant, sleep};

use super::{
    super::{NoTarget, RESOLVE_INTERVAL, Unusable, select::Outcome},
    *,
};

const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_health_and_work_in_flight() {
    let world = World::new();
    let group = world.apply_one(group("web", &[A]));
    world.reach(&group, &[(A, State::Healthy)]).await;
    let target = group.select(None, no_draw).unwrap().target;
    let _work = target.begin();
    let again = world.apply_one(super::group("web", &[A, B]));
    assert!(Arc::ptr_eq(&group, &again));
    assert_eq!(states(&group), [(addr(A), State::Healthy), (addr(B), State::Initial)]);
    assert_eq!(group.describe()[0].outstanding, 1);
}

#[tokio::test(start_paused = true)]
async fn a_removed_target_drains_for_the_delay_and_then_its_work_is_cut() {
    let world = World::new();
    let group = world.apply_one(group("web", &[A, B]));
    world.reach(&group, &[(A, State::Healthy), (B, State::Healthy)]).await;
    let target = group.select(Some(addr(A)), no_draw).unwrap().target;
    let work = target.begin();
    let removed = Instant::now();
    world.apply_one(super::group("web", &[B]));
    let [registered, draining] = group.describe().try_into().unwrap();
    assert_eq!((registered.addr, draining.addr), (addr(B), addr(A)));
    assert_eq!(draining.health.reason.unwrap().code(), "Target.DeregistrationInProgress");
    assert_eq!(draining.outstanding, 1);
    assert_eq!(
        (registered.drained_at, draining.drained_at),
        (None, Some(removed + Duration::from_secs(300)))
    );
    let edge = load_balancer_path(LoadBalancerType::Application, "edge");
    let hosts = world.metrics.host_counts(&edge, &target_group_path("web"));
    let counts = || {
        world.registry.tick(Instant::now());
        (hosts.draining_host_count.get(), hosts.draining_overdue_host_count.get())
    };
    assert_eq!(counts(), (1, 0));
    for _ in 0..4 {
        assert_eq!(group.select(None, no_draw).unwrap().target.addr(), addr(B));
    }
    assert!(!target.terminated().is_cancelled());
    target.terminated().cancelled().await;
    assert_eq!(removed.elapsed().as_secs(), 300);
    assert_eq!(counts(), (0, 1));
    drop(work);
    assert_eq!(counts(), (0, 0));
    assert_eq!(target.outstanding(), 0);
    assert_eq!(target.health().reason.unwrap().code(), "Target.NotRegistered");
    assert_eq!(states(&group), [(addr(B), State::Healthy)]);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_comes_back_starts_anew_while_the_old_one_drains() {
    let world = World::new();
    let group = world.apply_one(group("web", &[A]));
    world.reach(&group, &[(A, State::Healthy)]).await;
    let old = group.select(None, no_draw).unwrap().target;
    world.apply_one(super::group("web", &[]));
    assert_eq!(group.select(None, no_draw).unwrap_err(), NoTarget);
    world.apply_one(super::group("web", &[A]));
    assert_eq!(states(&group), [(addr(A), State::Initial), (addr(A), State::Draining)]);
    world.reach(&group, &[(A, State::Healthy), (A, State::Draining)]).await;
    assert!(!Arc::ptr_eq(&old, &group.select(Some(addr(A)), no_draw).unwrap().target));
    world.reach(&group, &[(A, State::Healthy)]).await;
    assert!(old.terminated().is_cancelled());
    assert!(!group.select(None, no_draw).unwrap().target.terminated().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_removed_group_drains_and_still_serves_requests_routed_before() {
    let world = World::new();
    let group = world.apply_one(group("web", &[A]));
    world.reach(&group, &[(A, State::Healthy)]).await;
    world.apply(vec![super::group("other", &[B])]);
    let target = group.select(None, no_draw).unwrap().target;
    assert_eq!(target.health().state, State::Draining);
    let names = || world.registry.groups().iter().map(|group| group.name().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(), ["other", "web"]);
    target.terminated().cancelled().await;
    assert_eq!(names(), ["other"]);
}

#[tokio::test(start_paused = true)]
async fn a_removed_group_may_come_back_while_it_drains() {
    let world = World::new();
    let group = world.apply_one(group("web", &[A]));
    world.reach(&group, &[(A, State::Healthy)]).await;
    world.apply(vec![super::group("other", &[])]);
    let again = world.apply_one(super::group("web", &[A]));
    world.reach(&again, &[(A, State::Healthy), (A, State::Draining)]).await;
    world.reach(&again, &[(A, State::Healthy)]).await;
    assert_eq!(again.select(None, no_draw).unwrap().target.health().state, State::Healthy);
}

#[tokio::test(start_paused = true)]
async fn every_address_of_a_host_name_is_a_target() {
    let world = World::new();
    world.script.host("web.local", &[B, A]);
    let group = world.apply_one(group("web", &["web.local:80"]));
    world.registry.resolved().await;
    assert_eq!(states(&group), [(addr(A), State::Initial), (addr(B), State::Initial)]);
    world.reach(&group, &[(A, State::Healthy), (B, State::Healthy)]).await;
    world.script.host("web.local", &[B]);
    world.reach(&group, &[(B, State::Healthy), (A, State::Draining)]).await;
    let instead_of = Some(Unusable::Draining);
    assert_eq!(group.select(Some(addr(A)), no_draw).unwrap().outcome, Outcome::Chosen { instead_of });
}

#[tokio::test(start_paused = true)]
async fn a_failed_lookup_keeps_the_last_answer_and_is_counted() {
    let world = World::new();
    world.script.host("web.local", &[A]);
    let group = world.apply_one(group("web", &["web.local:80"]));
    world.reach(&group, &[(A, State::Healthy)]).await;
    world.script.hosts.lock().clear();
    sleep(2 * RESOLVE_INTERVAL).await;
    assert_eq!(states(&group), [(addr(A), State::Healthy)]);
    assert_eq!(world.metrics.process().dns_failures.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_host_name_does_not_hold_up_the_start() {
    let world = World::new();
    let group = world.apply_one(group("web", &["nowhere.invalid:80"]));
    timeout(Duration::from_secs(1), world.registry.resolved()).await.expect("one failure is enough");
    assert_eq!(group.select(None, no_draw).unwrap_err(), NoTarget);
}

#[tokio::test(start_paused = true)]
async fn a_host_name_that_is_no_longer_configured_is_no_longer_looked_up() {
    let world = World::new();
    let group = world.apply_one(group("web", &["nowhere.invalid:80", A]));
    world.registry.resolved().await;
    world.apply_one(super::group("web", &[A]));
    let before = world.metrics.process().dns_failures.get();
    sleep(10 * RESOLVE_INTERVAL).await;
    assert_eq!(world.metrics.process().dns_failures.get(), before);
    assert_eq!(states(&group), [(addr(A), State::Healthy)]);
}

#[tokio::test(start_paused = true)]
async fn the_arn_follows_the_settings() {
    let world = World::new();
    let settings = group("web", &["10.0.0.1:80"]);
    let before = world.apply_one(settings.clone());
    let after = world.apply_one(TargetGroup { arn: "arn:aws:other".to_owned(), ..settings });
    assert!(Arc::ptr_eq(&before, &after));
    assert_eq!(after.arn(), "arn:aws:other");
}

#[tokio::test(start_paused = true)]
async fn a_target_tells_what_it_has_done() {
    let world = World::new();
    let group = world.apply_one(group("web", &[A]));
    let target = group.select(None, no_draw).unwrap().target;
    for _ in 0..3 {
        drop(target.begin());
    }
    target.count_sticky();
    let open = target.open_websocket();
    let told = |group: &Group| {
        let described = group.describe().remove(0);
        (described.request_count, described.sticky_request_count, described.open_websockets)
    };
    assert_eq!(told(&group), (3, 1, 1));
    drop(open);
    assert_eq!(told(&group), (3, 1, 0));
}

use std::sync::atomic::Ordering;

use tokio::time::{Instant, sleep};

use super::*;

const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";

#[tokio::test(start_paused = true)]
async fn targets_are_initial_until_their_first_check() {
    let world = World::new();
    let group = world.apply_one(group("web", &[A, B]));
    assert_eq!(states(&group), [(addr(A), State::Initial), (addr(B), State::Initial)]);
    let started = Instant::now();
    world.reach(&group, &[(A, State::Healthy), (B, State::Healthy)]).await;
    assert!(started.elapsed() < Duration::from_millis(100), "first checks come soon");
}

#[tokio::test(start_paused = true)]
async fn a_failing_target_turns_unhealthy_and_recovers_by_thresholds() {
    let world = World::new();
    let group = world.apply_one(group("web", &[A]));
    world.reach(&group, &[(A, State::Healthy)]).await;
    world.script.answer(A, CheckOutcome::ResponseCodeMismatch(503));
    let failing = Instant::now();
    world.reach(&group, &[(A, State::Unhealthy)]).await;
    assert_eq!(failing.elapsed().as_secs(), 60, "two failures, 30 s apart");
    let reason = group.describe()[0].health.reason.unwrap();
    assert_eq!(reason.to_string(), "Health checks failed with these codes: [503]");
    world.script.answer(A, CheckOutcome::Passed(200));
    let passing = Instant::now();
    world.reach(&group, &[(A, State::Healthy)]).await;
    assert_eq!(passing.elapsed().as_secs(), 150, "five passes, 30 s apart");
}

#[tokio::test(start_paused = true)]
async fn changed_health_checks_start_anew_and_keep_the_health() {
    let world = World::new();
    let mut settings = group("web", &[A]);
    let group = world.apply_one(settings.clone());
    world.reach(&group, &[(A, State::Healthy)]).await;
    settings.health_check.interval = Duration::from_secs(5);
    settings.health_check.port = Some(9000);
    world.script.answer("10.0.0.1:9000", CheckOutcome::Timeout);
    assert!(Arc::ptr_eq(&group, &world.apply_one(settings)));
    assert_eq!(states(&group), [(addr(A), State::Healthy)]);
    let changed = Instant::now();
    world.reach(&group, &[(A, State::Unhealthy)]).await;
    assert_eq!(changed.elapsed().as_secs(), 5, "at once and after the new interval, on the new port");
}

#[tokio::test(start_paused = true)]
async fn a_group_no_rule_uses_is_unused_and_not_checked() {
    let world = World::new();
    let (used, spare) = (group("used", &[]), group("spare", &[A]));
    let spare_group = world.apply(vec![used.clone(), spare.clone()]).remove(1);
    sleep(Duration::from_secs(120)).await;
    assert_eq!(states(&spare_group), [(addr(A), State::Unused)]);
    assert_eq!(world.script.checked.load(Ordering::Relaxed), 0);
    world.apply(vec![spare, used]);
    world.reach(&spare_group, &[(A, State::Healthy)]).await;
}

#[tokio::test(start_paused = true)]
async fn host_counts_follow_health_and_leave_with_the_group() {
    let world = World::new();
    world.script.answer(B, CheckOutcome::ConnectionReset);
    let group = world.apply_one(group("web", &[A, B]));
    world.reach(&group, &[(A, State::Healthy), (B, State::Unhealthy)]).await;
    let text = world.metrics.render().unwrap();
    let count = |metric: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{metric}{{")));
        line.and_then(|line| line.rsplit(' ').next()).map(str::to_owned)
    };
    assert_eq!(count("albeit_healthy_host_count").as_deref(), Some("1"));
    assert_eq!(count("albeit_unhealthy_host_count").as_deref(), Some("1"));
    world.apply(vec![super::group("other", &[])]);
    let text = world.metrics.render().unwrap();
    let of_web = |line: &&str| line.contains("host_count{") && line.contains("targetgroup/web/");
    assert_eq!(text.lines().find(of_web), None);
}

#[tokio::test(start_paused = true)]
async fn a_network_load_balancer_has_host_counts_and_no_other_series_of_the_group() {
    let world = World::new();
    let mut model = model(vec![group("flows", &[A])]);
    let load_balancer = &mut model.load_balancers[0];
    load_balancer.kind = LoadBalancerType::Network;
    load_balancer.log_name = load_balancer_path(LoadBalancerType::Network, "edge");
    let groups = world.registry.apply(&model);
    world.reach(&groups[0], &[(A, State::Healthy)]).await;
    let text = world.metrics.render().unwrap();
    let mut of_flows: Vec<&str> = text.lines().filter(|line| line.contains("targetgroup/flows/")).collect();
    of_flows.sort_unstable();
    assert!(of_flows.iter().all(|line| line.contains("load_balancer=\"net/edge/")), "{of_flows:?}");
    let name_and_value = |line: &&str| -> (String, String) {
        let (name, rest) = line.split_once('{').unwrap();
        (name.to_owned(), rest.rsplit(' ').next().unwrap().to_owned())
    };
    let expected = [
        ("albeit_draining_host_count", "0"),
        ("albeit_draining_overdue_host_count", "0"),
        ("albeit_healthy_host_count", "1"),
        ("albeit_unhealthy_host_count", "0"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(of_flows.iter().map(name_and_value).collect::<Vec<_>>(), expected);
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_every_task() {
    let world = World::new();
    world.script.host("web.local", &[A]);
    let group = world.apply_one(group("web", &["web.local:80", B]));
    world.reach(&group, &[(A, State::Healthy), (B, State::Healthy)]).await;
    world.apply_one(super::group("web", &["web.local:80"]));
    world.shutdown.cancel();
    world.tracker.close();
    timeout(Duration::from_secs(1), world.tracker.wait()).await.expect("no task is left");
}

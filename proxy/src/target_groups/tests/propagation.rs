use std::collections::BTreeSet;

use tokio::time::{Duration, Instant, sleep};

use super::{super::NoTarget, *};

const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";
const LAG: Duration = Duration::from_secs(20);

/// A group whose deregistrations are late, with these targets.
fn late(targets: &[&str]) -> TargetGroup {
    let mut group = group("web", targets);
    group.attributes.faults.deregistration_propagation = LAG;
    group
}

/// Who is chosen in a few turns.
fn chosen(group: &Group) -> BTreeSet<SocketAddr> {
    (0..6).map(|_| group.select(None, no_draw).unwrap().target.addr()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_removed_target_gets_new_work_for_a_while_though_it_drains() {
    let world = World::new();
    let group = world.apply_one(late(&[A, B]));
    world.reach(&group, &[(A, State::Healthy), (B, State::Healthy)]).await;
    let removed = Instant::now();
    world.apply_one(late(&[B]));
    assert_eq!(states(&group), [(addr(B), State::Healthy), (addr(A), State::Draining)]);
    assert_eq!(chosen(&group), [addr(A), addr(B)].into());
    let sticky = group.select(Some(addr(A)), no_draw).unwrap();
    assert_eq!(sticky.target.addr(), addr(A), "its cookies count, too");
    while chosen(&group).contains(&addr(A)) {
        sleep(Duration::from_millis(100)).await;
    }
    let lasted = removed.elapsed();
    assert!((LAG..LAG + Duration::from_secs(1)).contains(&lasted), "{lasted:?}");
    assert_eq!(states(&group)[1], (addr(A), State::Draining));
}

#[tokio::test(start_paused = true)]
async fn the_last_target_that_goes_serves_on_and_then_there_is_none() {
    let world = World::new();
    let group = world.apply_one(late(&[A]));
    world.reach(&group, &[(A, State::Healthy)]).await;
    world.apply_one(late(&[]));
    assert_eq!(chosen(&group), [addr(A)].into());
    sleep(LAG + Duration::from_secs(1)).await;
    assert_eq!(group.select(None, no_draw).unwrap_err(), NoTarget);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_deregistration_delay_and_the_faults_end_it_early() {
    let world = World::new();
    let mut short = late(&[A]);
    short.attributes.deregistration_delay = LAG / 2;
    let group = world.apply_one(short.clone());
    world.reach(&group, &[(A, State::Healthy)]).await;
    short.targets.clear();
    world.apply_one(short);
    assert_eq!(chosen(&group), [addr(A)].into());
    sleep(LAG / 2 + Duration::from_secs(1)).await;
    assert_eq!(group.select(None, no_draw).unwrap_err(), NoTarget);

    let world = World::new();
    let group = world.apply_one(late(&[A]));
    world.reach(&group, &[(A, State::Healthy)]).await;
    world.apply_one(late(&[]));
    world.apply_one(super::group("web", &[]));
    assert_eq!(group.select(None, no_draw).unwrap_err(), NoTarget, "the fault was switched off");
}

#[tokio::test(start_paused = true)]
async fn an_unhealthy_target_gets_no_work_after_its_end() {
    let world = World::new();
    world.script.answer(A, CheckOutcome::ResponseCodeMismatch(500));
    let group = world.apply_one(late(&[A, B]));
    world.reach(&group, &[(A, State::Unhealthy), (B, State::Healthy)]).await;
    world.apply_one(late(&[B]));
    assert_eq!(chosen(&group), [addr(B)].into());
}

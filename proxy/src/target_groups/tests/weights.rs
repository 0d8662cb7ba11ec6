//! Slow start, automatic target weights and the states of a group, as time passes.

use tokio::time::Instant;

use super::*;
use crate::{
    balance::anomaly::{AnomalyDetection, AnomalyResult, Mitigation},
    model::target_group::{Algorithm, MinimumHealthyTargets},
};

const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";
const C: &str = "10.0.0.3:80";
const LB: &str = "app/edge/";

/// How many of `count` requests each of the targets gets.
fn shares<const N: usize>(group: &Group, count: u32, targets: [&str; N]) -> [u32; N] {
    let mut state = 7_u32;
    let mut counts = HashMap::new();
    for _ in 0..count {
        let draw = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state
        };
        *counts.entry(group.select(None, draw).unwrap().target.addr()).or_insert(0) += 1;
    }
    targets.map(|target| counts.get(&addr(target)).copied().unwrap_or(0))
}

/// Lets `seconds` pass, with the tick of each.
async fn pass(world: &World, seconds: u64) {
    for _ in 0..seconds {
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.registry.tick(Instant::now());
    }
}

fn slow(targets: &[&str]) -> TargetGroup {
    let mut settings = group("web", targets);
    settings.attributes.slow_start = Some(Duration::from_secs(100));
    settings.health_check.interval = Duration::from_secs(5);
    settings
}

#[tokio::test(start_paused = true)]
async fn the_share_of_a_target_that_joins_grows_linearly() {
    let world = World::new();
    let web = world.apply_one(slow(&[A, B]));
    world.reach(&web, &[(A, State::Healthy), (B, State::Healthy)]).await;
    // The first batch is not ramped.
    assert_eq!(shares(&web, 1000, [A, B]), [500, 500]);
    world.apply_one(slow(&[A, B, C]));
    world.reach(&web, &[(A, State::Healthy), (B, State::Healthy), (C, State::Healthy)]).await;
    assert!(shares(&web, 1000, [C])[0] <= 2);
    for (seconds, weight) in [(50, 0.5), (25, 0.75), (25, 1.0)] {
        pass(&world, seconds).await;
        let expected = 3000.0 * weight / (2.0 + weight);
        let share = f64::from(shares(&web, 3000, [C])[0]);
        assert!((share - expected).abs() < 60.0, "{share} for {expected}");
    }
    assert_eq!(shares(&web, 3000, [A, B, C]), [1000; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_recovers_is_ramped_and_switching_slow_start_off_ends_it() {
    let world = World::new();
    let web = world.apply_one(slow(&[A, B]));
    world.reach(&web, &[(A, State::Healthy), (B, State::Healthy)]).await;
    world.script.answer(B, CheckOutcome::ConnectionReset);
    world.reach(&web, &[(A, State::Healthy), (B, State::Unhealthy)]).await;
    world.script.answer(B, CheckOutcome::Passed(200));
    world.reach(&web, &[(A, State::Healthy), (B, State::Healthy)]).await;
    assert!(shares(&web, 1000, [B])[0] <= 2);
    // Fail open knows no weights: A is lost, and B is all there is.
    world.script.answer(A, CheckOutcome::ConnectionReset);
    world.reach(&web, &[(A, State::Unhealthy), (B, State::Healthy)]).await;
    assert_eq!(shares(&web, 10, [A, B]), [0, 10]);
    let mut off = slow(&[A, B, C]);
    off.attributes.slow_start = None;
    world.apply_one(off);
    world.reach(&web, &[(A, State::Unhealthy), (B, State::Healthy), (C, State::Healthy)]).await;
    assert_eq!(shares(&web, 1000, [B, C]), [500, 500]);
    // They were healthy already when it is switched on.
    world.apply_one(slow(&[A, B, C]));
    assert_eq!(shares(&web, 1000, [B, C]), [500, 500]);
}

fn random(targets: &[&str], anomaly_mitigation: bool) -> TargetGroup {
    let mut settings = group("web", targets);
    settings.attributes.algorithm = Algorithm::WeightedRandom { anomaly_mitigation };
    settings
}

/// An interval in which every request to A fails.
async fn interval(world: &World, web: &Group, failing: &[&str]) {
    for _ in 0..300 {
        let Ok(selected) = web.select(None, rand::random) else { continue };
        let guard = selected.target.begin();
        if failing.iter().any(|target| addr(target) == guard.target().addr()) {
            guard.target().count_error();
        }
    }
    pass(world, 5).await;
}

fn detected(group: &Group, target: &str) -> AnomalyDetection {
    let described = group.describe();
    let target = described.iter().find(|described| described.addr == addr(target)).unwrap();
    target.anomaly_detection.unwrap()
}

fn assert_near(share: u32, expected: u32) {
    assert!(share.abs_diff(expected) < 100, "{share} for {expected}");
}

#[tokio::test(start_paused = true)]
async fn weighted_random_spreads_evenly() {
    let world = World::new();
    let web = world.apply_one(random(&[A, B, C], false));
    world.reach(&web, &[(A, State::Healthy), (B, State::Healthy), (C, State::Healthy)]).await;
    shares(&web, 3000, [A, B, C]).into_iter().for_each(|share| assert_near(share, 1000));
}

#[tokio::test(start_paused = true)]
async fn an_anomalous_target_loses_its_share_and_gets_it_back() {
    let world = World::new();
    let web = world.apply_one(random(&[A, B, C], true));
    world.reach(&web, &[(A, State::Healthy), (B, State::Healthy), (C, State::Healthy)]).await;
    pass(&world, 5).await;
    let normal = AnomalyDetection { result: AnomalyResult::Normal, mitigation: Mitigation::None };
    assert_eq!(detected(&web, A), normal);
    interval(&world, &web, &[A]).await;
    let anomalous = AnomalyDetection { result: AnomalyResult::Anomalous, mitigation: Mitigation::InEffect };
    assert_eq!((detected(&web, A), detected(&web, B)), (anomalous, normal));
    assert_near(shares(&web, 3000, [A])[0], 333);
    let hosts =
        world.metrics.target_group(&load_balancer_path(LoadBalancerType::Application, "edge"), &web_name());
    assert_eq!((hosts.anomalous_host_count.get(), hosts.mitigated_host_count.get()), (1, 1));
    interval(&world, &web, &[]).await;
    let recovering = AnomalyDetection { result: AnomalyResult::Normal, mitigation: Mitigation::InEffect };
    assert_eq!(detected(&web, A), recovering);
    assert_eq!((hosts.anomalous_host_count.get(), hosts.mitigated_host_count.get()), (0, 1));
    for _ in 0..10 {
        interval(&world, &web, &[]).await;
    }
    assert_eq!(detected(&web, A), normal);
    shares(&web, 3000, [A, B, C]).into_iter().for_each(|share| assert_near(share, 1000));
}

#[tokio::test(start_paused = true)]
async fn detection_goes_on_without_mitigation_and_changes_nothing() {
    let world = World::new();
    let web = world.apply_one(random(&[A, B, C], false));
    world.reach(&web, &[(A, State::Healthy), (B, State::Healthy), (C, State::Healthy)]).await;
    pass(&world, 5).await;
    interval(&world, &web, &[A]).await;
    let anomalous = AnomalyDetection { result: AnomalyResult::Anomalous, mitigation: Mitigation::None };
    assert_eq!(detected(&web, A), anomalous);
    shares(&web, 3000, [A, B, C]).into_iter().for_each(|share| assert_near(share, 1000));
}

#[tokio::test(start_paused = true)]
async fn two_healthy_targets_are_not_judged() {
    let world = World::new();
    let web = world.apply_one(random(&[A, B], true));
    world.reach(&web, &[(A, State::Healthy), (B, State::Healthy)]).await;
    pass(&world, 5).await;
    interval(&world, &web, &[A]).await;
    assert_eq!(detected(&web, A).result, AnomalyResult::Normal);
}

fn web_name() -> String {
    target_group_path("web")
}

/// The states of the group as DNS and routing see them: healthy, unhealthy each.
fn group_states(world: &World) -> [i64; 4] {
    let name = load_balancer_path(LoadBalancerType::Application, "edge");
    assert!(name.starts_with(LB));
    let it = world.metrics.target_group(&name, &web_name());
    [&it.healthy_state_dns, &it.unhealthy_state_dns, &it.healthy_state_routing, &it.unhealthy_state_routing]
        .map(prometheus::IntGauge::get)
}

#[tokio::test(start_paused = true)]
async fn the_thresholds_make_the_states_of_the_group() {
    let world = World::new();
    let mut settings = group("web", &[A, B]);
    settings.attributes.dns_failover = MinimumHealthyTargets { count: 0, percentage: Some(100) };
    let web = world.apply_one(settings);
    assert_eq!(group_states(&world), [0, 1, 0, 1]);
    world.reach(&web, &[(A, State::Healthy), (B, State::Healthy)]).await;
    assert_eq!(group_states(&world), [1, 0, 1, 0]);
    world.script.answer(B, CheckOutcome::ConnectionReset);
    world.reach(&web, &[(A, State::Healthy), (B, State::Unhealthy)]).await;
    assert_eq!(group_states(&world), [0, 1, 1, 0]);
    world.script.answer(A, CheckOutcome::ConnectionReset);
    world.reach(&web, &[(A, State::Unhealthy), (B, State::Unhealthy)]).await;
    assert_eq!(group_states(&world), [0, 1, 0, 1]);
}

//! What flows are told of the health and the end of their target.

use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep};

use super::{
    super::{CutReason, NoTarget},
    *,
};
use crate::{
    balance::flow_hash::FlowKey,
    health::Forced,
    model::target_group::{FlowAttributes, MinimumHealthyTargets, Stickiness},
};

const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";
const C: &str = "10.0.0.3:80";

fn network_group(targets: &[&str], flows: FlowAttributes) -> TargetGroup {
    let mut settings = group("net", targets);
    settings.protocol = TargetGroupProtocol::Tcp;
    settings.attributes.flows = flows;
    settings
}

/// The registered target at `at`.
fn target(group: &Group, at: &str) -> Arc<super::super::Target> {
    group.select(Some(addr(at)), no_draw).unwrap().target
}

async fn both_healthy(world: &World, flows: FlowAttributes) -> Arc<Group> {
    let group = world.apply_one(network_group(&[A, B], flows));
    world.reach(&group, &[(A, State::Healthy), (B, State::Healthy)]).await;
    group
}

#[tokio::test(start_paused = true)]
async fn flows_of_a_deregistered_target_go_on_after_the_delay() {
    let world = World::new();
    let group = both_healthy(&world, FlowAttributes::default()).await;
    let target = target(&group, A);
    let flow = target.flow_cut();
    world.apply_one(network_group(&[B], FlowAttributes::default()));
    world.reach(&group, &[(B, State::Healthy)]).await;
    assert_eq!(target.health().state, State::Unused);
    assert!(!target.terminated().is_cancelled());
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(flow.reason(), None);
}

#[tokio::test(start_paused = true)]
async fn flows_of_a_deregistered_target_are_cut_if_so_configured() {
    let flows = FlowAttributes { deregistration_termination: true, ..FlowAttributes::default() };
    let world = World::new();
    let group = both_healthy(&world, flows.clone()).await;
    let target = target(&group, A);
    let flow = target.flow_cut();
    world.apply_one(network_group(&[B], flows));
    let removed = Instant::now();
    assert_eq!(flow.cut().await, CutReason::Deregistered);
    assert_eq!(removed.elapsed().as_secs(), 300);
    assert!(target.terminated().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn flows_of_a_group_that_left_the_configuration_end_as_those_of_its_targets() {
    for deregistration_termination in [false, true] {
        let world = World::new();
        let flows = FlowAttributes { deregistration_termination, ..FlowAttributes::default() };
        let group = both_healthy(&world, flows).await;
        let flow = target(&group, A).flow_cut();
        world.apply(vec![super::group("other", &[])]);
        sleep(Duration::from_secs(299)).await;
        assert_eq!(flow.reason(), None);
        sleep(Duration::from_secs(2)).await;
        assert_eq!(flow.reason(), deregistration_termination.then_some(CutReason::Deregistered));
    }
}

#[tokio::test(start_paused = true)]
async fn flows_of_a_target_that_turns_unhealthy_are_cut_and_later_ones_live() {
    let world = World::new();
    let group = both_healthy(&world, FlowAttributes::default()).await;
    let (a, b) = (target(&group, A), target(&group, B));
    let (flow, other) = (a.flow_cut(), b.flow_cut());
    world.script.answer(A, CheckOutcome::Timeout);
    assert_eq!(flow.cut().await, CutReason::Unhealthy);
    assert_eq!(states(&group), [(addr(A), State::Unhealthy), (addr(B), State::Healthy)]);
    assert_eq!((other.reason(), a.flow_cut().reason()), (None, None));
    world.script.answer(A, CheckOutcome::Passed(200));
    let later = a.flow_cut();
    world.reach(&group, &[(A, State::Healthy), (B, State::Healthy)]).await;
    assert_eq!(later.reason(), None);
    assert!(!a.terminated().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn flows_are_kept_while_the_group_fails_open_and_afterwards() {
    let world = World::new();
    let mut settings = network_group(&[A, B], FlowAttributes::default());
    settings.attributes.unhealthy_state_routing = MinimumHealthyTargets { count: 2, percentage: None };
    let group = world.apply_one(settings);
    world.reach(&group, &[(A, State::Healthy), (B, State::Healthy)]).await;
    let (a, b) = (target(&group, A), target(&group, B));
    let (on_a, on_b) = (a.flow_cut(), b.flow_cut());
    world.script.answer(A, CheckOutcome::Timeout);
    world.reach(&group, &[(A, State::Unhealthy), (B, State::Healthy)]).await;
    assert!(group.select(None, no_draw).unwrap().fail_open);
    // One healthy target is enough from now on.
    world.apply_one(network_group(&[A, B], FlowAttributes::default()));
    assert!(!group.select(None, no_draw).unwrap().fail_open);
    sleep(Duration::from_secs(300)).await;
    assert_eq!((on_a.reason(), on_b.reason()), (None, None));
    assert_eq!(on_a.cut().now_or_never(), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_forced_unhealthy_loses_its_flows() {
    let world = World::new();
    let group = both_healthy(&world, FlowAttributes::default()).await;
    let flow = target(&group, A).flow_cut();
    assert!(group.force_health(addr(A), Some(Forced::Unhealthy)));
    assert_eq!(flow.reason(), Some(CutReason::Unhealthy));
}

#[tokio::test(start_paused = true)]
async fn flows_are_kept_without_connection_termination() {
    let world = World::new();
    let flows = FlowAttributes { unhealthy_termination: false, ..FlowAttributes::default() };
    let group = both_healthy(&world, flows).await;
    let flow = target(&group, A).flow_cut();
    world.script.answer(A, CheckOutcome::Timeout);
    world.reach(&group, &[(A, State::Unhealthy), (B, State::Healthy)]).await;
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(flow.reason(), None);
}

const INTERVAL: Duration = Duration::from_secs(600);

fn draining() -> FlowAttributes {
    let (unhealthy_termination, unhealthy_draining_interval) = (false, INTERVAL);
    FlowAttributes { unhealthy_termination, unhealthy_draining_interval, ..FlowAttributes::default() }
}

/// Lets time pass, with the tick of each second.
async fn pass(world: &World, time: Duration) {
    for _ in 0..time.as_secs() {
        sleep(Duration::from_secs(1)).await;
        world.registry.tick(Instant::now());
    }
}

#[tokio::test(start_paused = true)]
async fn an_unhealthy_target_keeps_its_flows_for_the_draining_interval() {
    let world = World::new();
    let group = both_healthy(&world, draining()).await;
    let a = target(&group, A);
    let flow = a.flow_cut();
    world.script.answer(A, CheckOutcome::Timeout);
    world.reach(&group, &[(A, State::UnhealthyDraining), (B, State::Healthy)]).await;
    assert_eq!(a.health().reason.unwrap().code(), "Target.Timeout");
    let edge = load_balancer_path(LoadBalancerType::Application, "edge");
    let hosts = world.metrics.host_counts(&edge, &target_group_path("net"));
    let counts = || (hosts.healthy_host_count.get(), hosts.unhealthy_host_count.get());
    assert_eq!(counts(), (1, 1));
    for _ in 0..4 {
        assert_eq!(group.select(None, no_draw).unwrap().target.addr(), addr(B));
    }
    pass(&world, INTERVAL - Duration::from_secs(1)).await;
    assert_eq!((a.health().state, flow.reason()), (State::UnhealthyDraining, None));
    pass(&world, Duration::from_secs(2)).await;
    assert_eq!((a.health().state, flow.reason()), (State::Unhealthy, Some(CutReason::Unhealthy)));
    assert_eq!((counts(), a.flow_cut().reason()), ((1, 1), None));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_recovers_in_the_draining_interval_keeps_its_flows() {
    let world = World::new();
    let group = both_healthy(&world, draining()).await;
    let flow = target(&group, A).flow_cut();
    world.script.answer(A, CheckOutcome::Timeout);
    world.reach(&group, &[(A, State::UnhealthyDraining), (B, State::Healthy)]).await;
    world.script.answer(A, CheckOutcome::Passed(200));
    world.reach(&group, &[(A, State::Healthy), (B, State::Healthy)]).await;
    pass(&world, 2 * INTERVAL).await;
    assert_eq!((target(&group, A).health().state, flow.reason()), (State::Healthy, None));
}

#[tokio::test(start_paused = true)]
async fn the_draining_interval_cuts_nothing_while_the_group_fails_open() {
    let world = World::new();
    let group = both_healthy(&world, draining()).await;
    let (a, b) = (target(&group, A), target(&group, B));
    let (on_a, on_b) = (a.flow_cut(), b.flow_cut());
    assert!(group.force_health(addr(A), Some(Forced::Unhealthy)));
    pass(&world, INTERVAL / 2).await;
    assert!(group.force_health(addr(B), Some(Forced::Unhealthy)));
    let expected = [(addr(A), State::UnhealthyDraining), (addr(B), State::UnhealthyDraining)];
    assert_eq!(states(&group), expected);
    pass(&world, INTERVAL).await;
    assert_eq!(states(&group), [(addr(A), State::Unhealthy), (addr(B), State::Unhealthy)]);
    assert!(group.force_health(addr(A), None));
    assert_eq!(states(&group), [(addr(A), State::Healthy), (addr(B), State::Unhealthy)]);
    assert_eq!((on_a.reason(), on_b.reason()), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_target_deregistered_in_the_draining_interval_drains_by_the_delay() {
    let world = World::new();
    let group = both_healthy(&world, draining()).await;
    let flow = target(&group, A).flow_cut();
    assert!(group.force_health(addr(A), Some(Forced::Unhealthy)));
    world.apply_one(network_group(&[B], draining()));
    assert_eq!(states(&group), [(addr(B), State::Healthy), (addr(A), State::Draining)]);
    pass(&world, 2 * INTERVAL).await;
    assert_eq!((states(&group), flow.reason()), (vec![(addr(B), State::Healthy)], None));
}

#[tokio::test(start_paused = true)]
async fn another_load_balancer_at_the_same_address_is_another_target() {
    let world = World::new();
    let of = |name: &str| {
        let mut settings = network_group(&[], FlowAttributes::default());
        let id = TargetId::LoadBalancer { name: name.to_owned(), address: addr(A).ip() };
        settings.targets = vec![Target { id, port: addr(A).port() }];
        settings
    };
    let group = world.apply_one(of("edge"));
    world.reach(&group, &[(A, State::Healthy)]).await;
    world.apply_one(of("edge"));
    assert_eq!(states(&group), [(addr(A), State::Healthy)]);
    world.apply_one(of("other"));
    let named: Vec<_> = group
        .describe()
        .into_iter()
        .map(|target| (target.load_balancer.unwrap(), target.health.state))
        .collect();
    assert_eq!(named, [("other".to_owned(), State::Initial), ("edge".to_owned(), State::Draining)]);
}

#[tokio::test(start_paused = true)]
async fn the_draining_interval_is_divided_by_the_time_scale() {
    let world = World::with_scale(TimeScale::try_new(10.0).unwrap());
    let group = both_healthy(&world, draining()).await;
    let flow = target(&group, A).flow_cut();
    assert!(group.force_health(addr(A), Some(Forced::Unhealthy)));
    pass(&world, INTERVAL / 10 - Duration::from_secs(1)).await;
    assert_eq!(flow.reason(), None);
    pass(&world, Duration::from_secs(2)).await;
    assert_eq!(flow.reason(), Some(CutReason::Unhealthy));
}

/// Which targets the flows of 100 clients are given, and whether the group was failing open.
fn flow_targets(group: &Group) -> (Vec<SocketAddr>, bool) {
    let selected = |client: u8| {
        let source = SocketAddr::new([192, 0, 2, client].into(), 40_000 + u16::from(client));
        let key = FlowKey { source, destination: addr("198.51.100.1:80"), sequence: u32::from(client) };
        group.select_flow(&key).unwrap()
    };
    let all: Vec<_> = (0..100).map(selected).collect();
    let mut targets: Vec<_> = all.iter().map(|selected| selected.target.addr()).collect();
    targets.sort_unstable();
    targets.dedup();
    (targets, all.iter().any(|selected| selected.fail_open))
}

#[tokio::test(start_paused = true)]
async fn flows_begin_on_healthy_targets_and_on_all_when_the_group_fails_open() {
    for stickiness in [None, Some(Stickiness::SourceIp)] {
        let world = World::new();
        let settings = |targets: &[&str]| {
            let mut settings = network_group(targets, draining());
            settings.attributes.stickiness.clone_from(&stickiness);
            settings
        };
        let group = world.apply_one(settings(&[A, B, C]));
        world.reach(&group, &[(A, State::Healthy), (B, State::Healthy), (C, State::Healthy)]).await;
        assert_eq!(flow_targets(&group), (vec![addr(A), addr(B), addr(C)], false));
        assert!(group.force_health(addr(A), Some(Forced::Unhealthy)));
        assert_eq!(group.describe()[0].health.state, State::UnhealthyDraining);
        assert_eq!(flow_targets(&group), (vec![addr(B), addr(C)], false));
        world.apply_one(settings(&[A, B]));
        assert_eq!(flow_targets(&group), (vec![addr(B)], false), "C drains");
        assert!(group.force_health(addr(B), Some(Forced::Unhealthy)));
        assert_eq!(flow_targets(&group), (vec![addr(A), addr(B)], true));
        world.apply_one(settings(&[]));
        let key = FlowKey { source: addr(A), destination: addr(B), sequence: 0 };
        assert_eq!(group.select_flow(&key).unwrap_err(), NoTarget);
    }
}

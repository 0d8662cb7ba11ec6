use proptest::prelude::*;

use super::{
    super::{
        NoTarget, Target as RunningTarget, Unusable,
        select::{Outcome, Selection},
    },
    *,
};
use crate::{
    balance::weighted::WHOLE,
    health::{Outcome as CheckOutcome, Thresholds},
    model::target_group::{Algorithm, MinimumHealthyTargets},
};

const HEALTHY: &str = "10.0.0.1:80";
const OTHER: &str = "10.0.0.2:80";
const UNHEALTHY: &str = "10.0.0.3:80";
const DRAINING: &str = "10.0.0.4:80";
const STRANGER: &str = "10.0.0.9:80";

fn target(at: &str, outcome: Option<CheckOutcome>) -> Arc<RunningTarget> {
    let target = RunningTarget::new(addr(at), None);
    if let Some(outcome) = outcome {
        let thresholds = Thresholds { healthy: 1, unhealthy: 1 };
        target.track(|tracker| tracker.handle_outcome(outcome, thresholds));
    }
    target
}

fn healthy(at: &str) -> Arc<RunningTarget> {
    target(at, Some(CheckOutcome::Passed(200)))
}

fn unhealthy(at: &str) -> Arc<RunningTarget> {
    target(at, Some(CheckOutcome::ConnectionReset))
}

fn attributes(algorithm: Algorithm) -> TargetGroupAttributes {
    TargetGroupAttributes { algorithm, ..TargetGroupAttributes::default() }
}

fn choices(selection: &Selection, times: usize) -> Vec<SocketAddr> {
    let cursor = std::sync::atomic::AtomicUsize::new(0);
    (0..times).map(|_| selection.select(&cursor, None, no_draw).unwrap().target.addr()).collect()
}

/// The decision table of `lb_cookie`: which target, how, and whether `NonStickyRequestCount` counts it.
#[track_caller]
fn check(cookie: Option<&str>, expected: (&str, Outcome), non_sticky: bool) {
    let registered = [healthy(HEALTHY), healthy(OTHER), unhealthy(UNHEALTHY)];
    let selection = Selection::new(&attributes(Algorithm::RoundRobin), &registered, &[healthy(DRAINING)]);
    let selected = selection.select(&0.into(), cookie.map(addr), no_draw).unwrap();
    assert_eq!((selected.target.addr(), selected.outcome), (addr(expected.0), expected.1));
    assert_eq!(selected.outcome.is_non_sticky(), non_sticky);
    assert!(!selected.fail_open);
}

#[test]
fn a_cookie_is_honoured_exactly_when_its_target_is_healthy() {
    let chosen = |instead_of| Outcome::Chosen { instead_of };
    check(None, (HEALTHY, chosen(None)), true);
    check(Some(OTHER), (OTHER, Outcome::Sticky), false);
    check(Some(UNHEALTHY), (HEALTHY, chosen(Some(Unusable::Unhealthy))), false);
    check(Some(DRAINING), (HEALTHY, chosen(Some(Unusable::Draining))), false);
    check(Some(STRANGER), (HEALTHY, chosen(Some(Unusable::NotRegistered))), true);
}

#[test]
fn a_group_without_healthy_targets_fails_open_and_honours_cookies() {
    let registered = [target(HEALTHY, None), unhealthy(UNHEALTHY)];
    let selection = Selection::new(&attributes(Algorithm::RoundRobin), &registered, &[]);
    let selected = selection.select(&0.into(), Some(addr(UNHEALTHY)), no_draw).unwrap();
    assert_eq!((selected.outcome, selected.fail_open), (Outcome::Sticky, true));
    assert_eq!(choices(&selection, 4), [HEALTHY, UNHEALTHY, HEALTHY, UNHEALTHY].map(addr));
}

#[test]
fn initial_targets_get_no_traffic_beside_healthy_ones() {
    let registered = [healthy(HEALTHY), target(OTHER, None)];
    let selection = Selection::new(&attributes(Algorithm::RoundRobin), &registered, &[]);
    assert_eq!(choices(&selection, 3), [HEALTHY; 3].map(addr));
}

#[test]
fn a_group_without_registered_targets_has_none_to_give() {
    for algorithm in [Algorithm::RoundRobin, Algorithm::LeastOutstandingRequests] {
        let selection = Selection::new(&attributes(algorithm), &[], &[healthy(DRAINING)]);
        assert_eq!(selection.select(&0.into(), None, no_draw).unwrap_err(), NoTarget);
        assert_eq!(selection.select(&0.into(), Some(addr(DRAINING)), no_draw).unwrap_err(), NoTarget);
    }
}

#[test]
fn fail_open_begins_below_the_count_or_below_the_percentage() {
    let cases = [
        // healthy of registered, minimum count, minimum percentage, fails open
        (1, 4, 1, None, false),
        (0, 4, 1, None, true),
        (1, 4, 2, None, true),
        (2, 4, 2, None, false),
        (2, 4, 1, Some(50), false),
        (1, 4, 1, Some(50), true),
        (1, 4, 1, Some(25), false),
        (4, 4, 1, Some(100), false),
        (3, 4, 1, Some(100), true),
    ];
    for (count, registered, minimum, percentage, expected) in cases {
        let targets: Vec<_> = (0..registered)
            .map(|index| {
                let at = format!("10.0.0.{index}:80");
                if index < count { healthy(&at) } else { unhealthy(&at) }
            })
            .collect();
        let attributes = TargetGroupAttributes {
            unhealthy_state_routing: MinimumHealthyTargets { count: minimum, percentage },
            ..TargetGroupAttributes::default()
        };
        let selected = Selection::new(&attributes, &targets, &[]).select(&0.into(), None, no_draw).unwrap();
        let case = (count, registered, minimum, percentage);
        assert_eq!(selected.fail_open, expected, "{case:?}");
    }
}

#[test]
fn least_outstanding_requests_goes_where_least_is_in_flight() {
    let registered = [healthy(HEALTHY), healthy(OTHER)];
    let selection = Selection::new(&attributes(Algorithm::LeastOutstandingRequests), &registered, &[]);
    let first = registered[0].begin();
    assert_eq!(choices(&selection, 3), [OTHER; 3].map(addr));
    let _more = (registered[1].begin(), registered[1].begin());
    assert_eq!(choices(&selection, 3), [HEALTHY; 3].map(addr));
    assert_eq!(first.target().outstanding(), 1);
    drop(first);
    assert_eq!(registered[0].outstanding(), 0);
}

proptest! {
    #[test]
    fn both_algorithms_share_requests_evenly(
        targets in 1_u8..20,
        rounds in 1_usize..10,
        lor in any::<bool>(),
        start in any::<usize>(),
    ) {
        let algorithm = if lor { Algorithm::LeastOutstandingRequests } else { Algorithm::RoundRobin };
        let registered: Vec<_> = (0..targets).map(|index| healthy(&format!("10.0.0.{index}:80"))).collect();
        let selection = Selection::new(&attributes(algorithm), &registered, &[]);
        // Away from the end of the number range, where a round robin may skip once.
        let cursor = (start / 2).into();
        let work: Vec<_> = (0..rounds * registered.len())
            .map(|_| selection.select(&cursor, None, no_draw).unwrap().target.begin())
            .collect();
        for target in &registered {
            prop_assert_eq!(target.outstanding() as usize, rounds);
        }
        drop(work);
    }

    #[test]
    fn a_choice_is_always_usable_and_sticky_when_it_can_be(
        outcomes in proptest::collection::vec(any::<Option<bool>>(), 1..12),
        cookie in any::<Option<u8>>(),
    ) {
        let at = |index: usize| format!("10.0.0.{index}:80");
        let registered: Vec<_> = outcomes.iter().enumerate().map(|(index, outcome)| match outcome {
            None => target(&at(index), None),
            Some(true) => healthy(&at(index)),
            Some(false) => unhealthy(&at(index)),
        }).collect();
        let selection = Selection::new(&attributes(Algorithm::RoundRobin), &registered, &[]);
        let cookie = cookie.map(|cookie| addr(&at((cookie % 16).into())));
        let selected = selection.select(&0.into(), cookie, no_draw).unwrap();
        let is_healthy = |target: &RunningTarget| target.health().state == State::Healthy;
        prop_assert_eq!(selected.fail_open, !registered.iter().any(|target| is_healthy(target)));
        prop_assert!(selected.fail_open || is_healthy(&selected.target));
        let usable = registered.iter()
            .any(|target| Some(target.addr()) == cookie && (selected.fail_open || is_healthy(target)));
        prop_assert_eq!(selected.outcome == Outcome::Sticky, usable);
        prop_assert!(!usable || Some(selected.target.addr()) == cookie);
    }

    #[test]
    fn a_choice_by_weight_is_usable_whatever_is_drawn(
        outcomes in proptest::collection::vec(any::<bool>(), 1..12),
        weights in proptest::collection::vec(1..=WHOLE, 12),
        draw: u32,
        start: usize,
        random: bool,
    ) {
        let at = |index: usize| addr(&format!("10.0.0.{index}:80"));
        let registered: Vec<_> = outcomes.iter().enumerate().map(|(index, &is_healthy)| {
            let at = at(index).to_string();
            if is_healthy { healthy(&at) } else { unhealthy(&at) }
        }).collect();
        let algorithm =
            if random { Algorithm::WeightedRandom { anomaly_mitigation: true } } else { Algorithm::RoundRobin };
        let weight_of = |target| (0..12).find(|&index| at(index) == target).map_or(WHOLE, |index| weights[index]);
        let selection = Selection::new(&attributes(algorithm), &registered, &[]).with_weights(weight_of);
        let selected = selection.select(&(start / 2).into(), None, || draw).unwrap();
        prop_assert!(selected.fail_open || selected.target.health().state == State::Healthy);
    }
}

use std::{cell::Cell, num::NonZeroU32, time::UNIX_EPOCH};

use proptest::prelude::*;
use tokio::time::Instant;

use super::*;
use crate::metrics::Metrics;

const LATER: Duration = Duration::from_millis(500);
const STATUS: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

fn faults(attributes: &FaultAttributes, scale: f64) -> Option<Arc<Faults>> {
    let metrics = Metrics::try_new().unwrap();
    Faults::new(attributes, TimeScale::try_new(scale).unwrap(), |fault| {
        metrics.fault("targetgroup/web/1", fault.as_str())
    })
}

fn ends(abort: u8, reset: u8, black_hole: u8) -> Arc<Faults> {
    let attributes = FaultAttributes {
        abort_percent: abort,
        abort_status: Some(STATUS),
        reset_percent: reset,
        black_hole_percent: black_hole,
        ..FaultAttributes::default()
    };
    faults(&attributes, 1.0).unwrap()
}

/// Draws spread evenly over their range.
fn draws(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(move |index| index * (u32::MAX / count))
}

#[test]
fn a_group_without_faults_has_none_to_ask() {
    assert!(faults(&FaultAttributes::default(), 1.0).is_none());
}

#[test]
fn nothing_is_drawn_for_faults_that_are_off() {
    let attributes = FaultAttributes { slow_target: NonZeroU32::new(1), ..FaultAttributes::default() };
    let faults = faults(&attributes, 1.0).unwrap();
    let no_draw = || -> u32 { panic!("drawn") };
    assert_eq!(faults.decide(no_draw), Decision::default());
    assert!(!faults.closes_reused_connection(no_draw));
    assert_eq!(faults.cookie_clock(UNIX_EPOCH), UNIX_EPOCH);
}

#[test]
fn each_end_has_its_share_of_all_requests() {
    let shares = |abort, reset, black_hole| {
        let faults = ends(abort, reset, black_hole);
        let count = |end| draws(1000).filter(|&draw| faults.decide(|| draw).end == end).count();
        [Some(End::Abort(STATUS)), Some(End::Reset), Some(End::BlackHole), None].map(count)
    };
    assert_eq!(shares(100, 0, 0), [1000, 0, 0, 0]);
    assert_eq!(shares(0, 100, 0), [0, 1000, 0, 0]);
    assert_eq!(shares(0, 0, 100), [0, 0, 1000, 0]);
    let mixed = shares(10, 20, 30);
    for (count, expected) in mixed.into_iter().zip([100, 200, 300, 400_usize]) {
        assert!(count.abs_diff(expected) <= 1, "{mixed:?}");
    }
}

#[test]
fn a_request_may_wait_and_then_be_ended_all_the_same() {
    let attributes =
        FaultAttributes { delay_percent: 50, delay: LATER, reset_percent: 100, ..FaultAttributes::default() };
    let faults = faults(&attributes, 1.0).unwrap();
    let mut dice = [0, 0, u32::MAX, u32::MAX].into_iter();
    let mut draw = || dice.next().unwrap();
    assert_eq!(faults.decide(&mut draw), Decision { delay: Some(LATER), end: Some(End::Reset) });
    assert_eq!(faults.decide(&mut draw), Decision { delay: None, end: Some(End::Reset) });
}

#[test]
fn time_is_scaled_and_a_rate_is_one_in_scaled_time() {
    let attributes = FaultAttributes {
        delay_percent: 100,
        delay: LATER,
        slow_target: NonZeroU32::new(1000),
        cookie_clock_skew: -60,
        ..FaultAttributes::default()
    };
    let faults = faults(&attributes, 10.0).unwrap();
    assert_eq!(faults.decide(|| 0).delay, Some(LATER / 10));
    assert_eq!(faults.pace(), Some(Pace::new(10_000.0)));
    let now = UNIX_EPOCH + Duration::from_secs(1000);
    assert_eq!(faults.cookie_clock(now), now - Duration::from_secs(6));
}

#[test]
fn the_clock_of_cookies_is_ahead_or_behind() {
    let now = UNIX_EPOCH + Duration::from_secs(1000);
    for (cookie_clock_skew, expected) in [(90, 1090), (-90, 910), (0, 1000)] {
        let attributes =
            FaultAttributes { cookie_clock_skew, reset_percent: 1, ..FaultAttributes::default() };
        let shown = faults(&attributes, 1.0).unwrap().cookie_clock(now);
        assert_eq!(shown, UNIX_EPOCH + Duration::from_secs(expected));
    }
}

#[test]
fn what_is_injected_is_counted() {
    let metrics = Metrics::try_new().unwrap();
    let attributes = FaultAttributes {
        delay_percent: 100,
        delay: LATER,
        black_hole_percent: 100,
        close_reused_connection_percent: 50,
        ..FaultAttributes::default()
    };
    let series = |fault: Fault| metrics.fault("targetgroup/web/1", fault.as_str());
    let faults = Faults::new(&attributes, TimeScale::default(), series).unwrap();
    faults.decide(|| 0);
    faults.decide(|| 0);
    assert!(faults.closes_reused_connection(|| 0));
    assert!(!faults.closes_reused_connection(|| u32::MAX));
    let counted = Fault::ALL.map(|fault| series(fault).injected.get());
    assert_eq!(counted, [2, 0, 0, 2, 1, 0, 0, 0]);
}

#[test]
fn bytes_have_their_time_one_after_the_other() {
    let begin = Instant::now();
    let mut pace = Pace::new(1000.0);
    assert_eq!((pace.due(begin), pace.piece()), (begin, 100));
    pace.note(100, begin);
    pace.note(400, begin);
    assert_eq!(pace.due(begin), begin + Duration::from_millis(500));
    let later = begin + Duration::from_secs(9);
    assert_eq!(pace.due(later), later, "time that passed without bytes is not saved up");
    pace.note(1, later);
    assert_eq!(pace.due(later), later + Duration::from_millis(1));
    assert_eq!(Pace::new(0.01).piece(), 1);
}

proptest! {
    #[test]
    fn a_share_is_what_it_says(percent in 0..=100_u8) {
        let hits = draws(10_000).filter(|&draw| falls_within(percent, || draw)).count();
        prop_assert!(hits.abs_diff(usize::from(percent) * 100) <= 1, "{hits}");
        let drawn = Cell::new(false);
        falls_within(percent, || { drawn.set(true); 0 });
        prop_assert_eq!(drawn.get(), percent > 0);
    }
}

//! Counts and distributions as an outcome has them.

use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;

use crate::outcome;

/// Longest time that is told apart, in microseconds: an hour.
const LONGEST: u64 = 3_600_000_000;

/// An empty distribution of times in microseconds.
///
/// # Errors
/// Never: its bounds are good.
pub(crate) fn times() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, LONGEST, 3)?)
}

/// A time for such a distribution.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(LONGEST)
}

/// A distribution of times in microseconds, as an outcome has it.
pub(crate) fn distribution(name: &str, times: &Histogram<u64>) -> outcome::Histogram {
    let milliseconds = |value: u64| float(value) / 1000.0;
    let percentile = |of: f64| (of, milliseconds(times.value_at_percentile(of)));
    let buckets = times
        .iter_log(100, 1.5)
        .map(|step| (milliseconds(step.value_iterated_to()), step.count_since_last_iteration()));
    outcome::Histogram {
        name: name.to_owned(),
        count: times.len(),
        mean: times.mean() / 1000.0,
        percentiles: [50.0, 90.0, 99.0, 99.9, 100.0].map(percentile).to_vec(),
        buckets: buckets.collect(),
    }
}

/// A count as a figure; those past 2³² are told as that.
pub(crate) fn float(count: u64) -> f64 {
    u32::try_from(count).map_or(4_294_967_296.0, f64::from)
}

/// The one in the middle of what is sorted.
pub(crate) fn median(sorted: &[f64]) -> Option<f64> {
    sorted.get(sorted.len() / 2).copied()
}

/// A count as a figure.
pub(crate) fn counted(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

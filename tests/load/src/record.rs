//! What a scenario writes down while it measures.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use tokio::time::Instant;

use crate::outcome::{Better, Histogram, Outcome, Series, Unit};

/// Significant digits of a time.
const DIGITS: u8 = 3;

/// Longest time that is told apart: an hour, in microseconds.
const LONGEST: u64 = 3_600_000_000;

/// Percentiles that are told.
const PERCENTILES: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 100.0];

/// Buckets grow by this much: some forty from 0.1 ms to 1 s.
const BUCKET_GROWTH: f64 = 1.25;

/// Upper bound of the first bucket, in microseconds.
const FIRST_BUCKET: u64 = 50;

/// A distribution of times, in microseconds with three digits.
#[derive(Debug, Clone)]
pub(crate) struct Times(hdrhistogram::Histogram<u64>);

impl Times {
    /// Nothing counted yet. Times above an hour count as that.
    ///
    /// # Errors
    /// Never: the bounds are such as the library takes.
    pub(crate) fn try_new() -> anyhow::Result<Self> {
        Ok(Self(hdrhistogram::Histogram::new_with_bounds(1, LONGEST, DIGITS)?))
    }

    /// Counts one.
    pub(crate) fn record(&mut self, time: Duration) {
        // What lasts longer than the longest counts as that.
        self.0.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// Takes those of another part of the run in.
    pub(crate) fn add(&mut self, other: &Self) {
        for value in other.0.iter_recorded() {
            self.0.saturating_record_n(value.value_iterated_to(), value.count_at_value());
        }
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.0.reset();
    }

    /// How many were counted.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// Milliseconds that so many percent are not above.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        milliseconds(self.0.value_at_quantile(percent / 100.0))
    }

    /// As an outcome has it; none when nothing was counted.
    pub(crate) fn histogram(&self, name: &str) -> Option<Histogram> {
        if self.0.is_empty() {
            return None;
        }
        let buckets = self.0.iter_log(FIRST_BUCKET, BUCKET_GROWTH);
        let buckets =
            buckets.map(|step| (milliseconds(step.value_iterated_to()), step.count_since_last_iteration()));
        Some(Histogram {
            name: name.to_owned(),
            count: self.count(),
            mean: self.0.mean() / 1000.0,
            percentiles: PERCENTILES.map(|percent| (percent, self.percentile(percent))).to_vec(),
            buckets: buckets.skip_while(|(_, count)| *count == 0).collect(),
        })
    }

    /// Notes the histogram, and `PREFIXp50`, `PREFIXp90`, `PREFIXp99`, `PREFIXp99.9` and `PREFIXmax`.
    pub(crate) fn note(&self, outcome: &mut Outcome, name: &str, prefix: &str) {
        let Some(histogram) = self.histogram(name) else { return };
        for (percent, time) in &histogram.percentiles {
            let figure =
                if *percent < 100.0 { format!("{prefix}p{percent}") } else { format!("{prefix}max") };
            outcome.figure(&figure, *time, Unit::Milliseconds, Better::Lower);
        }
        outcome.histograms.push(histogram);
    }
}

fn milliseconds(microseconds: u64) -> f64 {
    Duration::from_micros(microseconds).as_secs_f64() * 1000.0
}

/// Counts by kind in each second.
#[derive(Debug, Clone)]
pub(crate) struct OverTime<Kind> {
    start: Instant,
    counts: BTreeMap<Kind, Vec<u32>>,
}

impl<Kind: Ord + Clone + Display> OverTime<Kind> {
    /// Seconds count from `start`.
    pub(crate) fn new(start: Instant) -> Self {
        Self { start, counts: BTreeMap::new() }
    }

    /// What seconds count from.
    pub(crate) fn start(&self) -> Instant {
        self.start
    }

    /// Counts one of a kind.
    pub(crate) fn count(&mut self, kind: &Kind, now: Instant) {
        let second =
            usize::try_from(now.saturating_duration_since(self.start).as_secs()).unwrap_or(usize::MAX);
        self.at(kind, second, 1);
    }

    fn at(&mut self, kind: &Kind, second: usize, count: u32) {
        if !self.counts.contains_key(kind) {
            self.counts.insert(kind.clone(), Vec::new());
        }
        let Some(seconds) = self.counts.get_mut(kind) else { return };
        if seconds.len() <= second {
            seconds.resize(second + 1, 0);
        }
        if let Some(slot) = seconds.get_mut(second) {
            *slot += count;
        }
    }

    /// Takes those of another part of the run in.
    pub(crate) fn add(&mut self, other: &Self) {
        for (kind, seconds) in &other.counts {
            for (second, count) in seconds.iter().enumerate() {
                self.at(kind, second, *count);
            }
        }
    }

    /// How many of each kind there were.
    pub(crate) fn totals(&self) -> impl Iterator<Item = (&Kind, u64)> {
        self.counts.iter().map(|(kind, seconds)| (kind, seconds.iter().copied().map(u64::from).sum()))
    }

    /// One line for each kind.
    pub(crate) fn series(&self, plot: &str) -> Vec<Series> {
        let line = |(kind, seconds): (&Kind, &Vec<u32>)| Series {
            plot: plot.to_owned(),
            name: kind.to_string(),
            unit: Unit::PerSecond,
            points: (0_u32..).zip(seconds).map(|(second, count)| (second.into(), (*count).into())).collect(),
        };
        self.counts.iter().map(line).collect()
    }
}

/// Settings as an outcome has them.
pub(crate) fn settings<const COUNT: usize>(all: [(&str, String); COUNT]) -> BTreeMap<String, String> {
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Failures of so many, and the first in full words, for people.
pub(crate) fn failures(failed: u64, all: u64, first: Option<String>) -> String {
    let first = first.map_or_else(String::new, |first| format!("; the first: {first}"));
    format!("{failed} of {all}{first}")
}

/// Whether all that was due was made, for people: `all sent`, `3 not sent`.
pub(crate) fn unmade(missed: u64, made: &str) -> String {
    if missed == 0 { format!("all {made}") } else { format!("{missed} not {made}") }
}

/// A count as a figure.
pub(crate) fn number(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 things")]
    let number = count as f64;
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_percentiles_and_buckets() {
        let mut times = Times::try_new().unwrap();
        assert!(times.histogram("none").is_none());
        for millisecond in 1..=100 {
            times.record(Duration::from_millis(millisecond));
        }
        let mut twice = times.clone();
        twice.add(&times);
        let histogram = twice.histogram("latency").unwrap();
        assert_eq!(histogram.count, 200);
        assert_eq!(histogram.buckets.iter().map(|(_, count)| count).sum::<u64>(), 200);
        let [p50, .., max] = histogram.percentiles.as_slice() else { panic!("percentiles") };
        assert!((p50.1 - 50.0).abs() < 0.1 && (max.1 - 100.0).abs() < 0.1, "{histogram:?}");
    }

    #[test]
    fn failures_and_what_was_not_made_are_told_in_words() {
        assert_eq!(failures(0, 5, None), "0 of 5");
        assert_eq!(
            failures(2, 5, Some("connection reset".to_owned())),
            "2 of 5; the first: connection reset"
        );
        assert_eq!([unmade(0, "sent"), unmade(3, "sent")], ["all sent", "3 not sent"]);
    }

    #[test]
    fn kinds_are_counted_in_each_second() {
        let start = Instant::now();
        let mut answers = OverTime::new(start);
        for (kind, second) in [(200, 0), (200, 2), (502, 2)] {
            answers.count(&kind, start + Duration::from_secs(second));
        }
        let mut both = answers.clone();
        both.add(&answers);
        let series = both.series("answers");
        assert_eq!(series[0].points, [(0.0, 2.0), (1.0, 0.0), (2.0, 2.0)]);
        assert_eq!(series[1].name, "502");
        assert_eq!(both.totals().collect::<Vec<_>>(), [(&200, 4), (&502, 2)]);
    }
}

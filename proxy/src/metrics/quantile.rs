//! Percentiles of a distribution that is kept in buckets.
//!
//! As `histogram_quantile` of Prometheus has it: the rank is found in a bucket, within which values are taken
//! to be spread evenly. So a percentile is as exact as the buckets are narrow, here and in Grafana alike.

use prometheus::core::Metric as _;

use super::Histogram;

/// How many observations each bucket of a distribution has had.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Buckets {
    /// Upper bounds in seconds, ascending, and the observations up to each of them.
    cumulative: Vec<(f64, u64)>,
    /// All observations.
    count: u64,
}

impl Buckets {
    /// What a histogram has observed since the start of the process.
    #[must_use]
    pub fn of(histogram: &Histogram) -> Self {
        let metric = histogram.metric();
        let histogram = metric.get_histogram();
        let cumulative = histogram.get_bucket().iter();
        Self {
            cumulative: cumulative.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count())).collect(),
            count: histogram.get_sample_count(),
        }
    }

    /// Adds what another histogram with the same bounds has observed.
    pub fn add(&mut self, other: &Self) {
        if self.cumulative.is_empty() {
            self.clone_from(other);
            return;
        }
        for ((_, count), (_, more)) in self.cumulative.iter_mut().zip(&other.cumulative) {
            *count += more;
        }
        self.count += other.count;
    }

    /// What came after `earlier` was taken of the same histograms.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = |place: usize| earlier.cumulative.get(place).map_or(0, |(_, count)| *count);
        let counts = self.cumulative.iter().enumerate();
        Self {
            cumulative: counts
                .map(|(place, (bound, count))| (*bound, count.saturating_sub(before(place))))
                .collect(),
            count: self.count.saturating_sub(earlier.count),
        }
    }

    /// The value that a share of the observations does not exceed, in seconds. `None` without observations.
    ///
    /// `share` is between 0 and 1. What lies above the last bound is taken for that bound.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
        let float = |count: u64| count as f64;
        let rank = share.clamp(0.0, 1.0) * float(self.count);
        let (mut lower, mut below) = (0.0, 0);
        for (upper, count) in &self.cumulative {
            if float(*count) >= rank && *count > below {
                return Some(lower + (upper - lower) * ((rank - float(below)) / float(count - below)));
            }
            (lower, below) = (*upper, *count);
        }
        Some(lower)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bounds 0.1, 0.5, 1 and 10 s, with as many observations in each, and as many beyond.
    fn buckets(counts: [u64; 5]) -> Buckets {
        let mut sum = 0;
        let cumulative = [0.1, 0.5, 1.0, 10.0].into_iter().zip(counts).map(|(bound, count)| {
            sum += count;
            (bound, sum)
        });
        Buckets { cumulative: cumulative.collect(), count: counts.iter().sum() }
    }

    #[track_caller]
    fn check(counts: [u64; 5], share: f64, expected: Option<f64>) {
        let quantile = buckets(counts).quantile(share);
        let is_close = |(a, b): (f64, f64)| (a - b).abs() < 1e-9;
        assert_eq!(quantile.is_some(), expected.is_some(), "{quantile:?}");
        assert!(quantile.zip(expected).is_none_or(is_close), "{quantile:?}, expected {expected:?}");
    }

    #[test]
    fn percentiles_are_those_of_histogram_quantile() {
        check([0, 0, 0, 0, 0], 0.5, None);
        check([10, 0, 0, 0, 0], 0.5, Some(0.05));
        check([10, 0, 0, 0, 0], 1.0, Some(0.1));
        check([10, 10, 0, 0, 0], 0.5, Some(0.1));
        check([10, 10, 0, 0, 0], 0.75, Some(0.3));
        check([90, 9, 1, 0, 0], 0.95, Some(0.1 + 0.4 * 5.0 / 9.0));
        check([90, 9, 1, 0, 0], 0.99, Some(0.5));
        check([0, 0, 0, 4, 0], 0.25, Some(3.25));
        check([0, 0, 4, 0, 0], 0.0, Some(0.5));
        // Beyond the last bound nothing is known.
        check([1, 0, 0, 0, 9], 0.99, Some(10.0));
    }

    #[test]
    fn what_came_since_is_told_apart_and_added_up() {
        let (earlier, now) = (buckets([5, 0, 0, 0, 0]), buckets([5, 4, 0, 0, 2]));
        assert_eq!(now.since(&earlier), buckets([0, 4, 0, 0, 2]));
        assert_eq!(now.since(&Buckets::default()), now);
        let mut sum = Buckets::default();
        sum.add(&earlier);
        sum.add(&now);
        assert_eq!(sum, buckets([10, 4, 0, 0, 2]));
    }

    #[test]
    fn the_buckets_of_a_metric_are_read() {
        let metrics = crate::metrics::Metrics::try_new().unwrap();
        let group = metrics.target_group("app/edge/1", "targetgroup/web/1");
        for seconds in [0.0005, 0.003, 0.003, 9000.0] {
            group.target_response_time.observe(seconds);
        }
        let buckets = Buckets::of(&group.target_response_time);
        assert_eq!(buckets.count, 4);
        assert_eq!(&buckets.cumulative[..3], [(0.001, 1), (0.0025, 1), (0.005, 3)]);
    }
}

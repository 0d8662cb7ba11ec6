//! From totals that only grow to what happens per second, and percentiles of the last ten seconds.

use std::collections::{HashMap, VecDeque};

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::metrics::Buckets;

/// How many ticks percentiles look back: ten seconds.
const WINDOW: usize = 10;

/// Remembers totals from tick to tick.
#[derive(Debug, Default)]
pub(super) struct Rates {
    at: Option<Instant>,
    seconds: f64,
    before: HashMap<(String, &'static str), u64>,
    now: HashMap<(String, &'static str), u64>,
    windows: HashMap<String, VecDeque<Buckets>>,
    seen: Vec<String>,
}

impl Rates {
    /// Begins a tick at `now`.
    pub(super) fn begin(&mut self, now: Instant) {
        self.seconds = self.at.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        self.at = Some(now);
        self.before = std::mem::take(&mut self.now);
    }

    /// How fast a total of `owner` has grown since the last tick, per second. 0 in the first one.
    pub(super) fn per_second(&mut self, owner: &str, what: &'static str, total: u64) -> f64 {
        let key = (owner.to_owned(), what);
        let before = self.before.get(&key).copied();
        self.now.insert(key, total);
        let Some(before) = before.filter(|_| self.seconds > 0.0) else { return 0.0 };
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53 in a second")]
        let grown = total.saturating_sub(before) as f64;
        (grown / self.seconds * 100.0).round() / 100.0
    }

    /// `TargetResponseTime` of `owner`: percentiles of what was observed in the last ten seconds, in seconds.
    pub(super) fn percentiles(&mut self, owner: &str, buckets: Buckets) -> Value {
        let window = self.windows.entry(owner.to_owned()).or_default();
        let recent = window.front().map_or_else(Buckets::default, |earliest| buckets.since(earliest));
        window.push_back(buckets);
        if window.len() > WINDOW {
            window.pop_front();
        }
        self.seen.push(owner.to_owned());
        let quantile = |share| recent.quantile(share);
        match (quantile(0.5), quantile(0.95), quantile(0.99)) {
            (Some(p50), Some(p95), Some(p99)) => json!({ "P50": p50, "P95": p95, "P99": p99 }),
            _ => Value::Null,
        }
    }

    /// Ends a tick: what no longer exists is forgotten.
    pub(super) fn end(&mut self) {
        let seen = std::mem::take(&mut self.seen);
        self.windows.retain(|owner, _| seen.contains(owner));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn totals_become_rates() {
        let mut rates = Rates::default();
        let start = Instant::now();
        rates.begin(start);
        assert_eq!(rates.per_second("a", "requests", 500), 0.0);
        rates.end();
        rates.begin(start + Duration::from_secs(2));
        assert_eq!(rates.per_second("a", "requests", 525), 12.5);
        assert_eq!(rates.per_second("b", "requests", 7), 0.0);
        assert_eq!(rates.per_second("a", "errors", 7), 0.0);
        rates.end();
        // A total that begins anew, as of a target that was registered again, is no rate below nothing.
        rates.begin(start + Duration::from_secs(3));
        assert_eq!(rates.per_second("a", "requests", 3), 0.0);
    }

    #[test]
    fn percentiles_are_of_the_last_ten_ticks() {
        let metrics = Metrics::try_new().unwrap();
        let time = metrics.target_group("app/a/1", "targetgroup/a/1").target_response_time.clone();
        let mut rates = Rates::default();
        time.observe(0.3);
        assert_eq!(rates.percentiles("a", Buckets::of(&time)), Value::Null);
        time.observe(0.004);
        for _ in 0..WINDOW {
            let percentiles = rates.percentiles("a", Buckets::of(&time));
            assert_eq!(percentiles["P50"], json!(0.00375));
        }
        assert_eq!(rates.percentiles("a", Buckets::of(&time)), Value::Null);
        rates.end();
        rates.end();
        assert!(rates.windows.is_empty());
    }
}

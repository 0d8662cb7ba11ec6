//! A timer as Micrometer's: a histogram for ever, and the percentiles and the
//! maximum of the last two minutes.
//!
//! Percentiles of histograms are what a server of metrics estimates from
//! buckets; those here are measured. They are a family of their own, named as
//! Micrometer names gauges of percentiles (`….percentile`, label `phi`), since
//! a histogram may not have samples with a label `quantile`.

use hdrhistogram::Histogram as Hdr;
use parking_lot::Mutex;
use prometheus::{Gauge, GaugeVec, Histogram, HistogramOpts, Opts, Registry};
use tokio::time::{Duration, Instant};

use super::{MetricsError, add};

/// Upper bounds in seconds: from 10 µs to 2.5 s.
pub(super) const BUCKETS: [f64; 12] =
    [1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 5e-3, 2.5e-2, 0.1, 0.5, 2.5];

/// The percentiles, as the label says them.
const PERCENTILES: [(f64, &str); 3] = [(0.5, "0.5"), (0.95, "0.95"), (0.99, "0.99")];

/// Longest time that is told apart from longer ones, in microseconds.
const LONGEST: u64 = 60_000_000;

/// How long one of the [`WINDOWS`] takes values: Micrometer's two minutes in
/// three parts.
const WINDOW: Duration = Duration::from_secs(40);

/// Windows that percentiles are of. The oldest is forgotten as a whole.
const WINDOWS: usize = 3;

/// Measures how long something takes.
#[derive(Debug)]
pub struct Timer {
    histogram: Histogram,
    max: Gauge,
    percentiles: GaugeVec,
    recent: Mutex<Recent>,
}

impl Timer {
    /// A timer of this name, to which `_seconds` is added.
    pub(super) fn try_new(registry: &Registry, name: &str, help: &str) -> Result<Self, MetricsError> {
        let seconds = HistogramOpts::new(format!("{name}_seconds"), help).buckets(BUCKETS.to_vec());
        let percentiles = Opts::new(format!("{name}_percentile_seconds"), format!("{help}, percentiles"));
        Ok(Self {
            histogram: add(registry, Histogram::with_opts(seconds)?)?,
            max: add(registry, Gauge::new(format!("{name}_seconds_max"), format!("{help}, longest"))?)?,
            percentiles: add(registry, GaugeVec::new(percentiles, &["phi"])?)?,
            recent: Mutex::new(Recent::try_new(Instant::now())?),
        })
    }

    /// Starts to measure; the returned value's end is the end.
    #[must_use]
    pub fn start_timer(&self) -> Running<'_> {
        Running { timer: self, start: Instant::now() }
    }

    /// Notes that it took `time`.
    pub fn record(&self, now: Instant, time: Duration) {
        self.histogram.observe(time.as_secs_f64());
        self.recent.lock().record(now, time);
    }

    /// How often something was measured.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.get_sample_count()
    }

    /// Sets the gauges.
    pub(super) fn refresh(&self, now: Instant) {
        let recent = self.recent.lock().merged(now);
        let seconds = |micros: u64| Duration::from_micros(micros).as_secs_f64();
        for (quantile, phi) in PERCENTILES {
            self.percentiles.with_label_values(&[phi]).set(seconds(recent.value_at_quantile(quantile)));
        }
        self.max.set(seconds(recent.max()));
    }
}

/// Something that is being measured.
#[derive(Debug)]
pub struct Running<'a> {
    timer: &'a Timer,
    start: Instant,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        self.timer.record(now, now - self.start);
    }
}

/// What was measured of late, in microseconds.
#[derive(Debug)]
struct Recent {
    windows: [Hdr<u64>; WINDOWS],
    /// The window that takes values.
    current: usize,
    /// When the next one does.
    until: Instant,
}

impl Recent {
    fn try_new(now: Instant) -> Result<Self, MetricsError> {
        let empty = Hdr::new_with_bounds(1, LONGEST, 2).map_err(|e| MetricsError::Msg(e.to_string()))?;
        let windows = std::array::from_fn(|_| empty.clone());
        Ok(Self { windows, current: 0, until: now + WINDOW })
    }

    fn record(&mut self, now: Instant, time: Duration) {
        self.turn(now);
        let micros = u64::try_from(time.as_micros()).unwrap_or(LONGEST);
        if let Some(window) = self.windows.get_mut(self.current) {
            window.saturating_record(micros);
        }
    }

    /// Forgets what is too old.
    fn turn(&mut self, now: Instant) {
        let mut turns = 0;
        while now >= self.until && turns < WINDOWS {
            self.current = (self.current + 1) % WINDOWS;
            if let Some(window) = self.windows.get_mut(self.current) {
                window.reset();
            }
            self.until += WINDOW;
            turns += 1;
        }
        if now >= self.until {
            self.until = now + WINDOW;
        }
    }

    fn merged(&mut self, now: Instant) -> Hdr<u64> {
        self.turn(now);
        let [mut all, rest @ ..] = self.windows.clone();
        for window in rest {
            // All have the same bounds, so that there is nothing to fail.
            if let Err(error) = all.add(window) {
                tracing::error!(%error, "percentiles not put together");
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn percentiles_are_those_of_the_last_two_minutes() {
        let start = Instant::now();
        let mut recent = Recent::try_new(start).unwrap();
        recent.record(start, milliseconds(5000));
        for n in 1..=100 {
            recent.record(start + WINDOW, milliseconds(n));
        }
        // With the first window.
        assert!(recent.merged(start + WINDOW).max() >= 5_000_000);
        // Without it, at most one unit of the second digit off.
        let later = recent.merged(start + WINDOW * 3);
        let near = |quantile, expected: u64| {
            let value = later.value_at_quantile(quantile);
            assert!(value.abs_diff(expected) <= expected / 50, "{quantile}: {value}");
        };
        near(0.5, 50_000);
        near(0.95, 95_000);
        near(0.99, 99_000);
        assert_eq!(later.len(), 100);
        // Without anything, however long nobody has asked.
        assert_eq!(recent.merged(start + WINDOW * 1000).len(), 0);
        recent.record(start + WINDOW * 1000, milliseconds(1));
        assert_eq!(recent.merged(start + WINDOW * 1000).len(), 1);
    }

    #[test]
    fn a_timer_shows_its_percentiles_and_its_maximum() {
        let registry = Registry::new();
        let timer = Timer::try_new(&registry, "a", "A").unwrap();
        timer.record(Instant::now(), milliseconds(100));
        timer.refresh(Instant::now());
        assert_eq!(timer.count(), 1);
        assert!((timer.max.get() - 0.1).abs() < 0.002, "{}", timer.max.get());
        let median = timer.percentiles.with_label_values(&["0.5"]).get();
        assert!((median - 0.1).abs() < 0.002, "{median}");
    }
}

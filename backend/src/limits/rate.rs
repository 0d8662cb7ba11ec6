//! The generic cell rate algorithm in one atomic number (ITU-T I.371): a leaky
//! bucket that stores when it would be empty.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::{Duration, Instant};

const NANOS: u64 = 1_000_000_000;

/// So many units per second, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    per_second: NonZeroU64,
    /// Nanoseconds by which a client may be ahead.
    tolerance: u64,
}

impl Rate {
    /// `per_second` units on average, after `burst` units at once.
    #[must_use]
    pub fn new(per_second: NonZeroU64, burst: u64) -> Self {
        Self { per_second, tolerance: nanos(burst, per_second) }
    }
}

/// What `units` cost in nanoseconds.
fn nanos(units: u64, per_second: NonZeroU64) -> u64 {
    let nanos = u128::from(units) * u128::from(NANOS) / u128::from(per_second.get());
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

/// One client's account of a [`Rate`].
#[derive(Debug)]
pub struct Gcra {
    rate: Rate,
    start: Instant,
    /// When the bucket is empty: nanoseconds after `start`.
    empty_at: AtomicU64,
}

impl Gcra {
    /// An account with the whole burst.
    #[must_use]
    pub fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, start: now, empty_at: AtomicU64::new(0) }
    }

    /// Charges `units` that have come already. Returns how long the client must
    /// wait until it is within its rate again; none when it is.
    pub fn charge(&self, now: Instant, units: u64) -> Option<Duration> {
        let now = self.elapsed(now);
        let cost = nanos(units, self.rate.per_second);
        let charged = |empty_at: u64| empty_at.max(now).saturating_add(cost);
        let before = self.empty_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |at| Some(charged(at)));
        let ahead = charged(before.unwrap_or_else(|at| at)) - now;
        let wait = ahead.saturating_sub(self.rate.tolerance);
        (wait > 0).then(|| Duration::from_nanos(wait))
    }

    /// Takes `units` if they are within the rate; whether they were.
    pub fn try_take(&self, now: Instant, units: u64) -> bool {
        let now = self.elapsed(now);
        let cost = nanos(units, self.rate.per_second);
        let take = |empty_at: u64| {
            let charged = empty_at.max(now).saturating_add(cost);
            (charged - now <= self.rate.tolerance).then_some(charged)
        };
        self.empty_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    fn elapsed(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(per_second: u64, burst: u64) -> Rate {
        Rate::new(NonZeroU64::new(per_second).unwrap(), burst)
    }

    #[test]
    fn after_the_burst_each_unit_must_wait_for_its_turn() {
        let start = Instant::now();
        let account = Gcra::new(rate(10, 3), start);
        for _ in 0..3 {
            assert_eq!(account.charge(start, 1), None);
        }
        assert_eq!(account.charge(start, 1), Some(Duration::from_millis(100)));
        assert_eq!(account.charge(start, 1), Some(Duration::from_millis(200)));
        let later = start + Duration::from_millis(300);
        assert_eq!(account.charge(later, 1), None);
        assert_eq!(account.charge(later, 5), Some(Duration::from_millis(500)));
    }

    #[test]
    fn what_is_refused_costs_nothing() {
        let start = Instant::now();
        let account = Gcra::new(rate(1, 2), start);
        assert!(account.try_take(start, 2));
        for _ in 0..100 {
            assert!(!account.try_take(start, 1));
        }
        assert!(account.try_take(start + Duration::from_secs(1), 1));
        assert!(!account.try_take(start + Duration::from_secs(1), 1));
    }

    #[test]
    fn silence_saves_up_no_more_than_the_burst() {
        let start = Instant::now();
        let account = Gcra::new(rate(1000, 10), start);
        let later = start + Duration::from_secs(3600);
        let taken = (0..100).filter(|_| account.try_take(later, 1)).count();
        assert_eq!(taken, 10);
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate_and_its_burst(
            per_second in 1_u64..5000,
            burst in 1_u64..100,
            steps in proptest::collection::vec((0_u64..50_000, 1_u64..20), 1..200),
        ) {
            let start = Instant::now();
            let account = Gcra::new(rate(per_second, burst), start);
            let (mut micros, mut taken) = (0, 0);
            for (pause, units) in steps {
                micros += pause;
                if account.try_take(start + Duration::from_micros(micros), units) {
                    taken += units;
                }
            }
            // Rounding is to whole nanoseconds, in the client's favour.
            let allowed = burst + per_second * micros / 1_000_000 + 2;
            prop_assert!(taken <= allowed, "{taken} of {allowed}");
        }
    }
}

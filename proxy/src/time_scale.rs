//! Time scale: one factor that every timer of the balancer is divided by.
//!
//! With a scale of 60 an hour's idle timeout shows in a minute and all
//! proportions between timers are kept. Settings stay unscaled in the model;
//! whoever arms a timer calls [`TimeScale::apply`] on it. Wall-clock facts
//! (log times, cookie expiry dates, log file intervals) are not timers and stay
//! as they are.

use std::time::Duration;

/// The shortest timer a scale yields, so that a scaled timer never becomes a busy loop.
const SHORTEST: Duration = Duration::from_millis(1);

/// Divisor of every timer: 0.01–100,000, default 1 (real time).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeScale(f64);

/// A time scale out of range.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("time scale {0} is not between 0.01 and 100000")]
pub struct InvalidTimeScale(pub f64);

impl Default for TimeScale {
    fn default() -> Self {
        Self(1.0)
    }
}

impl TimeScale {
    /// A scale that divides every timer by `divisor`.
    ///
    /// # Errors
    /// [`InvalidTimeScale`] when `divisor` is not a number between 0.01 and 100,000.
    pub fn try_new(divisor: f64) -> Result<Self, InvalidTimeScale> {
        if (0.01..=100_000.0).contains(&divisor) { Ok(Self(divisor)) } else { Err(InvalidTimeScale(divisor)) }
    }

    /// What timers are divided by.
    #[must_use]
    pub const fn divisor(self) -> f64 {
        self.0
    }

    /// The scaled timer, at least 1 ms.
    #[must_use]
    pub fn apply(self, timer: Duration) -> Duration {
        if self == Self::default() {
            return timer.max(SHORTEST);
        }
        Duration::try_from_secs_f64(timer.as_secs_f64() / self.0).unwrap_or(Duration::MAX).max(SHORTEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_time_is_the_default_and_exact() {
        let odd = Duration::from_nanos(1_234_567_891);
        assert_eq!(TimeScale::default().apply(odd), odd);
    }

    #[test]
    fn an_hour_becomes_a_minute() {
        let scale = TimeScale::try_new(60.0).unwrap();
        assert_eq!(scale.apply(Duration::from_secs(3600)), Duration::from_secs(60));
    }

    #[test]
    fn no_timer_is_shorter_than_a_millisecond() {
        let scale = TimeScale::try_new(100_000.0).unwrap();
        assert_eq!(scale.apply(Duration::from_secs(1)), SHORTEST);
        assert_eq!(TimeScale::default().apply(Duration::ZERO), SHORTEST);
    }

    #[test]
    fn the_longest_timer_survives_a_slowing_scale() {
        let scale = TimeScale::try_new(0.01).unwrap();
        assert_eq!(scale.apply(Duration::MAX), Duration::MAX);
    }

    #[test]
    fn scales_out_of_range_are_refused() {
        for divisor in [0.0, -1.0, 1e9, f64::NAN, f64::INFINITY] {
            assert!(TimeScale::try_new(divisor).is_err(), "{divisor}");
        }
    }
}

//! Times of a service that may run with a time scale.
//!
//! What the command line gives and what an outcome tells are the service's
//! times; waiting takes the real ones. Latencies are no timers and stay real.

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::Instant;

use super::Run;
use crate::target::Target;

/// Turns real times into the service's, and back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
    scale: f64,
}

impl Clock {
    /// Of a run against this target.
    ///
    /// # Errors
    /// When the time scale is no positive number.
    pub(crate) fn try_new(run: &Run, target: &Target) -> Result<Self> {
        let scale = target.time_scale;
        ensure!(scale.is_finite() && scale > 0.0, "--time-scale must be more than 0");
        Ok(Self { started: run.started, scale })
    }

    /// How long a time of the service really takes.
    pub(crate) fn real(self, time: Duration) -> Duration {
        Duration::try_from_secs_f64(time.as_secs_f64() / self.scale).unwrap_or(Duration::MAX)
    }

    /// What a real time is to the service, in seconds.
    pub(crate) fn seconds(self, real: Duration) -> f64 {
        real.as_secs_f64() * self.scale
    }

    /// What a real time is to the service.
    pub(crate) fn told(self, real: Duration) -> Duration {
        Duration::try_from_secs_f64(self.seconds(real)).unwrap_or(Duration::MAX)
    }

    /// Seconds of the service from the start of the run.
    pub(crate) fn moment(self, at: Instant) -> f64 {
        self.seconds(at.saturating_duration_since(self.started))
    }
}

/// A time for people: `60 s`, `1.5 s`, `250 ms`.
pub(crate) fn words(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        return format!("{} ms", time.as_millis());
    }
    seconds_in_words(time.as_secs_f64())
}

/// The same of seconds: never more than one digit after the point.
pub(crate) fn seconds_in_words(seconds: f64) -> String {
    let text = format!("{seconds:.1}");
    format!("{} s", text.strip_suffix(".0").unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(scale: f64) -> Clock {
        Clock { started: Instant::now(), scale }
    }

    #[test]
    fn times_of_the_service_are_shorter_than_they_say() {
        let clock = clock(60.0);
        assert_eq!(clock.real(Duration::from_secs(90)), Duration::from_millis(1500));
        assert_eq!(clock.told(Duration::from_millis(500)), Duration::from_secs(30));
        assert_eq!(clock.moment(clock.started + Duration::from_secs(1)), 60.0);
    }

    #[test]
    fn a_time_too_long_to_tell_is_the_longest() {
        assert_eq!(clock(1e-9).real(Duration::from_secs(1 << 60)), Duration::MAX);
    }

    #[test]
    fn times_are_told_in_words() {
        assert_eq!(words(Duration::from_secs(60)), "60 s");
        assert_eq!(words(Duration::from_millis(1530)), "1.5 s");
        assert_eq!(words(Duration::from_millis(250)), "250 ms");
    }
}

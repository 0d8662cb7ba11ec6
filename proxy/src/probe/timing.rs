//! A measured time with its precision.

use std::{fmt, time::Duration};

use crate::time_scale::TimeScale;

/// How far a measured time may lie from a declared one and still be the same: a tenth of the declared one.
const TOLERANCE: f64 = 0.1;

/// A time that was measured, as the wall clock had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// It happened, in several samples between the shortest and the longest time.
    Between {
        /// The shortest time seen.
        shortest: Duration,
        /// The longest time seen; with one sample the same.
        longest: Duration,
    },
    /// It had not happened when the measurement ended.
    AtLeast(Duration),
}

impl Timing {
    /// The time of a single sample.
    #[must_use]
    pub const fn once(time: Duration) -> Self {
        Self::Between { shortest: time, longest: time }
    }

    /// The shortest time that is certain: what a balancer can rely on.
    #[must_use]
    pub const fn certain(self) -> Duration {
        match self {
            Self::Between { shortest, .. } => shortest,
            Self::AtLeast(time) => time,
        }
    }

    /// Half of the distance between the longest and the shortest time; `None` for a lower bound.
    #[must_use]
    pub fn precision(self) -> Option<Duration> {
        match self {
            Self::Between { shortest, longest } => Some(longest.saturating_sub(shortest) / 2),
            Self::AtLeast(_) => None,
        }
    }

    /// What it would have been in real time, if the measured program's timers were divided by `scale`.
    #[must_use]
    pub fn in_real_time(self, scale: TimeScale) -> Self {
        let real = |time: Duration| {
            Duration::try_from_secs_f64(time.as_secs_f64() * scale.divisor()).unwrap_or(Duration::MAX)
        };
        match self {
            Self::Between { shortest, longest } => {
                Self::Between { shortest: real(shortest), longest: real(longest) }
            }
            Self::AtLeast(time) => Self::AtLeast(real(time)),
        }
    }

    /// Whether this measurement fits a declared time, within a tenth of it.
    #[must_use]
    pub fn agrees_with(self, declared: Duration) -> bool {
        // A declared time may be of any length: it was read from a file.
        let times = |factor| Duration::try_from_secs_f64(declared.as_secs_f64() * factor);
        let least = times(1.0 - TOLERANCE).unwrap_or(Duration::MAX);
        let most = times(1.0 + TOLERANCE).unwrap_or(Duration::MAX);
        match self {
            Self::Between { shortest, longest } => longest >= least && shortest <= most,
            Self::AtLeast(time) => time <= most,
        }
    }

    /// The measured time and, if the measured program runs at a time scale, the real time it stands for.
    #[must_use]
    pub fn at_scale(self, scale: TimeScale) -> String {
        if scale == TimeScale::default() {
            self.to_string()
        } else {
            format!("{} (measured {self} at time scale {})", self.in_real_time(scale), scale.divisor())
        }
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::AtLeast(time) => write!(f, "at least {}", Seconds(time)),
            Self::Between { shortest, longest } => {
                // Samples that differ by less than a fiftieth are one figure.
                if longest.saturating_sub(shortest) <= shortest / 50 {
                    write!(f, "{}", Seconds(shortest))
                } else {
                    write!(f, "{} to {}", Seconds(shortest), Seconds(longest))
                }
            }
        }
    }
}

/// A time in seconds to three significant places, which is what the measurements are good for.
#[derive(Debug, Clone, Copy)]
pub struct Seconds(pub Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        let places = match seconds {
            s if s < 1.0 => 3,
            s if s < 10.0 => 2,
            s if s < 100.0 => 1,
            _ => 0,
        };
        let text = format!("{seconds:.places$}");
        let text = if places > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        write!(f, "{text} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[track_caller]
    fn check(timing: Timing, expected: &str) {
        assert_eq!(timing.to_string(), expected);
    }

    #[test]
    fn samples_close_together_are_one_figure() {
        check(Timing::once(ms(5_004)), "5 s");
        check(Timing::Between { shortest: ms(20_000), longest: ms(20_300) }, "20 s");
        check(Timing::Between { shortest: ms(20_000), longest: ms(21_040) }, "20 s to 21 s");
        check(Timing::AtLeast(ms(75_000)), "at least 75 s");
        check(Timing::once(ms(83)), "0.083 s");
        check(Timing::once(ms(350_000)), "350 s");
    }

    #[test]
    fn a_time_scale_is_multiplied_back_and_both_times_are_shown() {
        let scale = TimeScale::try_new(60.0).unwrap();
        let timing = Timing::once(ms(1_000));
        assert_eq!(timing.in_real_time(scale), Timing::once(ms(60_000)));
        assert_eq!(timing.at_scale(scale), "60 s (measured 1 s at time scale 60)");
        assert_eq!(timing.at_scale(TimeScale::default()), "1 s");
    }

    #[test]
    fn a_tenth_is_the_tolerance() {
        let declared = ms(60_000);
        for (timing, expected) in [
            (Timing::once(ms(55_000)), true),
            (Timing::once(ms(66_000)), true),
            (Timing::once(ms(53_000)), false),
            (Timing::once(ms(67_000)), false),
            (Timing::Between { shortest: ms(53_000), longest: ms(55_000) }, true),
            (Timing::AtLeast(ms(30_000)), true),
            (Timing::AtLeast(ms(75_000)), false),
        ] {
            assert_eq!(timing.agrees_with(declared), expected, "{timing}");
        }
        assert!(!Timing::once(ms(1)).agrees_with(Duration::MAX));
    }

    #[test]
    fn precision_is_half_the_spread() {
        assert_eq!(Timing::Between { shortest: ms(20_000), longest: ms(21_000) }.precision(), Some(ms(500)));
        assert_eq!(Timing::AtLeast(ms(1)).precision(), None);
    }
}

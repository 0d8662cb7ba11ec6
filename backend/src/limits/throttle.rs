//! A bound on log lines that strangers can cause.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

use super::{Gcra, Rate};

/// Lines per second that are written on average.
const PER_SECOND: NonZeroU64 = NonZeroU64::new(10).unwrap();

/// Lines that may be written at once.
const BURST: u64 = 50;

/// Lets ten lines a second pass, fifty at once, and counts the others.
#[derive(Debug)]
pub struct Throttle {
    lines: Gcra,
    suppressed: AtomicU64,
}

impl Throttle {
    /// Nothing was written yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { lines: Gcra::new(Rate::new(PER_SECOND, BURST), now), suppressed: AtomicU64::new(0) }
    }

    /// Whether to write a line, and how many were not written since the last
    /// one.
    pub fn pass(&self, now: Instant) -> Option<u64> {
        if self.lines.try_take(now, 1) {
            Some(self.suppressed.swap(0, Ordering::Relaxed))
        } else {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Duration;

    use super::*;

    #[test]
    fn a_flood_is_told_of_by_the_next_line() {
        let start = Instant::now();
        let throttle = Throttle::new(start);
        let passed = (0..1000).filter(|_| throttle.pass(start).is_some()).count();
        assert_eq!(passed, 50);
        let later = start + Duration::from_millis(100);
        assert_eq!(throttle.pass(later), Some(950));
        assert_eq!(throttle.pass(later), None);
    }
}

//! The `heartbeat` event: when the next one is due, and who answers none.

use std::time::Duration;

use tokio::time::Instant;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// An event.
    Beat,
    /// The end of a client that left too many unanswered.
    Stale,
}

/// The heartbeat of one client.
#[derive(Debug)]
pub(super) struct Heartbeat {
    interval: Duration,
    /// Events that may be unanswered when the next one is due; 0 for any
    /// number.
    misses: u32,
    next: Instant,
    unanswered: u32,
}

impl Heartbeat {
    /// Begins one interval from now. None without an interval.
    pub(super) fn new(interval: Duration, misses: u32, now: Instant) -> Option<Self> {
        (!interval.is_zero()).then(|| Self { interval, misses, next: now + interval, unanswered: 0 })
    }

    /// When something is due.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// What is due now; counts as done.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Due> {
        if now < self.next {
            return None;
        }
        self.next = now + self.interval;
        if self.misses > 0 && self.unanswered >= self.misses {
            return Some(Due::Stale);
        }
        self.unanswered += 1;
        Some(Due::Beat)
    }

    /// The client answered. Whether there was something to answer.
    pub(super) fn answered(&mut self) -> bool {
        std::mem::take(&mut self.unanswered) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);

    #[test]
    fn beats_come_one_interval_apart_while_they_are_answered() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(INTERVAL, 2, start).unwrap();
        assert_eq!(heartbeat.take_due(start), None);
        for beat in 1..10 {
            assert_eq!(heartbeat.take_due(start + INTERVAL * beat), Some(Due::Beat));
            assert!(heartbeat.answered());
            assert!(!heartbeat.answered());
        }
    }

    #[test]
    fn two_unanswered_beats_make_a_client_stale() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(INTERVAL, 2, start).unwrap();
        let due = [1, 2, 3].map(|beat| heartbeat.take_due(start + INTERVAL * beat));
        assert_eq!(due, [Some(Due::Beat), Some(Due::Beat), Some(Due::Stale)]);
        let mut patient = Heartbeat::new(INTERVAL, 0, start).unwrap();
        assert!((1..100).all(|beat| patient.take_due(start + INTERVAL * beat) == Some(Due::Beat)));
        assert!(Heartbeat::new(Duration::ZERO, 2, start).is_none());
    }
}

//! What a measurement may cost: time and connections.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::Unmeasured;

/// The longest that is waited for an answer, whatever the limits: an endpoint that takes longer is not measured.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Bounds of all measurements of one endpoint together, in real time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// When everything ends, finished or not. Default 3 min.
    pub total: Duration,
    /// How many connections are opened. Default 150.
    pub connections: usize,
    /// How long an idle connection is watched for its end. Default 75 s: longer than the 60 s that an
    /// application load balancer keeps idle connections by default.
    pub longest_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { total: Duration::from_secs(180), connections: 150, longest_wait: Duration::from_secs(75) }
    }
}

/// What is left of the limits.
#[derive(Debug)]
pub(super) struct Budget {
    limits: Limits,
    deadline: Instant,
    connections: AtomicUsize,
}

impl Budget {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self { limits, deadline: now + limits.total, connections: AtomicUsize::new(0) }
    }

    /// Takes one connection.
    pub(super) fn take_connection(&self) -> Result<(), Unmeasured> {
        let most = self.limits.connections;
        let take = |used: usize| (used < most).then_some(used + 1);
        let taken = self.connections.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.map(drop).map_err(|_| Unmeasured::ConnectionsSpent(most))
    }

    /// How many connections were opened.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// When everything ends.
    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What the caller learns when everything ended before its measurement did.
    pub(super) const fn time_spent(&self) -> Unmeasured {
        Unmeasured::TimeSpent(self.limits.total)
    }

    /// How long an idle connection may be watched from `now` on.
    ///
    /// Ends a little before everything ends, so that what was seen until then counts.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        let left = self.deadline.saturating_duration_since(now);
        self.limits.longest_wait.min(left.saturating_sub(left / 20))
    }

    /// How long an answer may take from `now` on.
    pub(super) fn answer(&self, now: Instant) -> Duration {
        ANSWER_LIMIT.min(self.deadline.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn connections_run_out() {
        let limits = Limits { connections: 2, ..Limits::default() };
        let budget = Budget::new(limits, Instant::now());
        assert!(budget.take_connection().is_ok() && budget.take_connection().is_ok());
        assert_eq!(budget.take_connection(), Err(Unmeasured::ConnectionsSpent(2)));
        assert_eq!(budget.connections(), 2);
    }

    #[test]
    fn nothing_is_waited_for_longer_than_what_is_left() {
        let start = Instant::now();
        let limits = Limits { total: seconds(100), longest_wait: seconds(75), connections: 1 };
        let budget = Budget::new(limits, start);
        assert_eq!(budget.wait(start), seconds(75));
        assert_eq!(budget.wait(start + seconds(80)), seconds(19));
        assert_eq!(budget.answer(start + seconds(80)), ANSWER_LIMIT);
        assert_eq!(budget.answer(start + seconds(95)), seconds(5));
        assert_eq!(budget.wait(start + seconds(200)), Duration::ZERO);
    }
}

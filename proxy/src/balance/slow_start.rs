//! Slow start: the share of a target that has just become healthy grows
//! linearly from nothing to its full share.
//!
//! ELB page: "Edit target group attributes for your Application Load Balancer"
//! (slow start mode). Pure: the time is an argument. Not ramped are targets
//! that were healthy when slow start was switched on, and those registered
//! while no healthy target outside slow start was there to carry the load.

use std::time::Duration;

use super::weighted::WHOLE;

/// The weight of a target that became healthy `elapsed` ago: at least 1 so that it is not left out,
/// [`WHOLE`] from `duration` (`slow_start.duration_seconds`) on.
#[must_use]
pub fn weight(elapsed: Duration, duration: Duration) -> u32 {
    if elapsed >= duration {
        return WHOLE;
    }
    let grown = elapsed.as_nanos() * u128::from(WHOLE) / duration.as_nanos().max(1);
    u32::try_from(grown).unwrap_or(WHOLE).clamp(1, WHOLE)
}

/// One target in respect of slow start; `T` is a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<T> {
    stage: Stage<T>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage<T> {
    /// Registered when nobody could take its share: its first health is not ramped.
    Exempt,
    /// Not healthy: ramped when it becomes so.
    Waiting,
    /// Healthy since then, and its share still grows.
    Ramping(T),
    /// Healthy, with its full share.
    Full,
}

impl<T: Copy> Member<T> {
    /// A target that is registered while `others_carry` says whether a healthy target is outside slow start.
    #[must_use]
    pub const fn registered(others_carry: bool) -> Self {
        Self { stage: if others_carry { Stage::Waiting } else { Stage::Exempt } }
    }

    /// Whether it is healthy and outside slow start.
    #[must_use]
    pub const fn carries(&self) -> bool {
        matches!(self.stage, Stage::Full)
    }

    /// When its ramp began, if it still runs.
    #[must_use]
    pub const fn ramping_since(&self) -> Option<T> {
        match self.stage {
            Stage::Ramping(since) => Some(since),
            Stage::Exempt | Stage::Waiting | Stage::Full => None,
        }
    }

    /// Its full share is reached, or slow start was switched off.
    pub const fn end(&mut self) {
        if let Stage::Ramping(_) = self.stage {
            self.stage = Stage::Full;
        }
    }

    /// It is healthy at `now`. It enters slow start by becoming so if `may_ramp`: slow start is on, and a
    /// healthy target outside it carries the load.
    pub const fn handle_healthy(&mut self, now: T, may_ramp: bool) {
        self.stage = match self.stage {
            Stage::Waiting if may_ramp => Stage::Ramping(now),
            Stage::Waiting | Stage::Exempt => Stage::Full,
            same => same,
        };
    }

    /// It is not healthy: it leaves slow start, and enters it anew on recovery.
    pub const fn handle_not_healthy(&mut self) {
        if let Stage::Ramping(_) | Stage::Full = self.stage {
            self.stage = Stage::Waiting;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_grows_linearly() {
        let of_minute = |seconds| weight(Duration::from_secs(seconds), Duration::from_secs(60));
        assert_eq!([0, 6, 30, 45, 60, 600].map(of_minute), [1, 100, 500, 750, WHOLE, WHOLE]);
        assert_eq!(weight(Duration::ZERO, Duration::ZERO), WHOLE);
    }

    fn new(others_carry: bool) -> Member<u32> {
        Member::registered(others_carry)
    }

    #[test]
    fn a_target_that_joins_healthy_ones_is_ramped() {
        let mut member = new(true);
        assert_eq!((member.ramping_since(), member.carries()), (None, false));
        member.handle_healthy(5, true);
        member.handle_healthy(6, true);
        assert_eq!((member.ramping_since(), member.carries()), (Some(5), false));
        member.end();
        assert_eq!((member.ramping_since(), member.carries()), (None, true));
    }

    #[test]
    fn the_first_batch_is_not_ramped_but_comes_back_slowly() {
        let mut member = new(false);
        member.handle_healthy(5, true);
        assert_eq!((member.ramping_since(), member.carries()), (None, true));
        member.handle_not_healthy();
        assert_eq!((member.ramping_since(), member.carries()), (None, false));
        member.handle_healthy(7, true);
        assert_eq!(member.ramping_since(), Some(7));
    }

    #[test]
    fn a_target_that_turns_unhealthy_leaves_and_enters_anew() {
        let mut member = new(true);
        member.handle_healthy(1, true);
        member.handle_not_healthy();
        assert_eq!(member.ramping_since(), None);
        member.handle_healthy(3, true);
        assert_eq!(member.ramping_since(), Some(3));
    }

    #[test]
    fn nobody_is_ramped_while_slow_start_is_off_or_nobody_else_carries() {
        let mut member = new(true);
        member.handle_healthy(1, false);
        assert!(member.carries());
        // Switched on later, or joined later: it was healthy already.
        member.handle_healthy(2, true);
        assert!(member.carries());
    }
}

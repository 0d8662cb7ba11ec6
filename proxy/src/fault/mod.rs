//! Faults on purpose: which of them a request or flow meets.
//!
//! Not of ELB. The attributes `albeit.fault.*` of a target group make the failures happen that users of ELB
//! meet by chance. Pure: the dice, the time and the clock are arguments. What is decided here is done in
//! `alb::fault` and `nlb::fault`; a group without faults has no [`Faults`], and nothing is asked or drawn.
//! How long a deregistered target goes on is the business of `target_groups`, which knows the targets.

mod pace;
mod slow;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::StatusCode;

use crate::{
    balance::weighted,
    metrics::FaultMetrics,
    model::fault::{Fault, FaultAttributes},
    time_scale::TimeScale,
};

pub use self::{
    pace::Pace,
    slow::{Throttle, relay_slowly},
};

/// Shares are of this many.
const HUNDRED: u8 = 100;

/// The faults of one target group, its durations scaled.
#[derive(Debug)]
pub struct Faults {
    attributes: FaultAttributes,
    scale: TimeScale,
    /// Those of the faults that are on.
    metrics: Vec<(Fault, FaultMetrics)>,
}

/// What is done to a request or flow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Decision {
    /// It waits so long before it goes on.
    pub delay: Option<Duration>,
    /// It ends like this; `None`: it takes its course.
    pub end: Option<End>,
}

/// How a request or flow is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Answered with this status. Requests only.
    Abort(StatusCode),
    /// The client's connection is reset.
    Reset,
    /// Never answered.
    BlackHole,
}

impl End {
    const fn fault(self) -> Fault {
        match self {
            Self::Abort(_) => Fault::Abort,
            Self::Reset => Fault::Reset,
            Self::BlackHole => Fault::BlackHole,
        }
    }
}

impl Faults {
    /// The faults that `attributes` switch on, counted where `metrics` says; `None` if there are none.
    #[must_use]
    pub fn new(
        attributes: &FaultAttributes,
        scale: TimeScale,
        metrics: impl Fn(Fault) -> FaultMetrics,
    ) -> Option<Arc<Self>> {
        let metrics: Vec<_> = attributes.all_on().map(|fault| (fault, metrics(fault))).collect();
        (!metrics.is_empty()).then(|| Arc::new(Self { attributes: attributes.clone(), scale, metrics }))
    }

    /// What is done to the next request or flow; counts it. `draw` gives random numbers.
    ///
    /// Whether it waits and how it ends are drawn apart: one that waits may be reset after.
    pub fn decide(&self, mut draw: impl FnMut() -> u32) -> Decision {
        let it = &self.attributes;
        let waits = falls_within(it.delay_percent, &mut draw);
        let delay = waits.then(|| self.scale.apply(it.delay));
        let end = self.end(draw);
        if delay.is_some() {
            self.count(Fault::Delay);
        }
        if let Some(end) = end {
            self.count(end.fault());
        }
        Decision { delay, end }
    }

    /// How the next request or flow ends. The three ends share out one draw: each has its share of all.
    fn end(&self, draw: impl FnOnce() -> u32) -> Option<End> {
        let it = &self.attributes;
        let shares = [it.abort_percent, it.reset_percent, it.black_hole_percent];
        let ended = shares.iter().fold(0, |sum: u8, share| sum.saturating_add(*share));
        if ended == 0 {
            return None;
        }
        let shares = shares.into_iter().chain([HUNDRED.saturating_sub(ended)]);
        match weighted::choose(draw(), shares.map(u32::from))? {
            0 => it.abort_status.map(End::Abort),
            1 => Some(End::Reset),
            2 => Some(End::BlackHole),
            _ => None,
        }
    }

    /// Whether the pooled connection that the next request is about to use is closed; counts it.
    pub fn closes_reused_connection(&self, draw: impl FnOnce() -> u32) -> bool {
        let closes = falls_within(self.attributes.close_reused_connection_percent, draw);
        if closes {
            self.count(Fault::CloseReusedConnection);
        }
        closes
    }

    /// How fast the bytes of a target's response or tunnel come, if they are slowed; counts it.
    ///
    /// The rate is one in scaled time, so that a transfer takes as long compared with timers as it would.
    #[must_use]
    pub fn pace(&self) -> Option<Pace> {
        let rate = self.attributes.slow_target?;
        self.count(Fault::SlowTarget);
        Some(Pace::new(f64::from(rate.get()) * self.scale.divisor()))
    }

    /// What the clock that seals cookies shows when it is `now`; counts it.
    #[must_use]
    pub fn cookie_clock(&self, now: SystemTime) -> SystemTime {
        let skew = self.attributes.cookie_clock_skew;
        if skew == 0 {
            return now;
        }
        self.count(Fault::CookieClockSkew);
        let off = self.scale.apply(Duration::from_secs(skew.unsigned_abs().into()));
        let shown = if skew > 0 { now.checked_add(off) } else { now.checked_sub(off) };
        shown.unwrap_or(now)
    }

    fn count(&self, fault: Fault) {
        if let Some((_, metrics)) = self.metrics.iter().find(|(on, _)| *on == fault) {
            metrics.injected.inc();
        }
    }
}

/// Whether a draw falls within a share in percent. Nothing is drawn for a share of 0.
fn falls_within(percent: u8, draw: impl FnOnce() -> u32) -> bool {
    percent > 0 && (u64::from(draw()) * u64::from(HUNDRED)) >> u32::BITS < u64::from(percent)
}

#[cfg(test)]
mod tests;

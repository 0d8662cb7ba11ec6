//! Faults that a target group injects on purpose: the attributes `albeit.fault.*`, typed.
//!
//! Not of ELB: they make the failures that its users meet happen when they are wanted. All are off by
//! default. What they do to a request or flow is decided in `fault`.

use std::{fmt, num::NonZeroU32, time::Duration};

use http::StatusCode;

/// One kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// Requests and flows wait before they go to the target.
    Delay,
    /// Requests are answered by the load balancer with an error.
    Abort,
    /// The client's connection is reset instead of an answer.
    Reset,
    /// Nothing ever comes back.
    BlackHole,
    /// A pooled connection is closed when it is about to be used again.
    CloseReusedConnection,
    /// What comes from the target comes slowly.
    SlowTarget,
    /// A deregistered target goes on getting new requests.
    DeregistrationPropagation,
    /// Stickiness cookies are sealed by a clock that is off.
    CookieClockSkew,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Delay,
        Self::Abort,
        Self::Reset,
        Self::BlackHole,
        Self::CloseReusedConnection,
        Self::SlowTarget,
        Self::DeregistrationPropagation,
        Self::CookieClockSkew,
    ];

    /// The name in metrics and logs, which is the middle part of its attributes' keys.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delay => "delay",
            Self::Abort => "abort",
            Self::Reset => "reset",
            Self::BlackHole => "black_hole",
            Self::CloseReusedConnection => "close_reused_connection",
            Self::SlowTarget => "slow_target",
            Self::DeregistrationPropagation => "deregistration_propagation",
            Self::CookieClockSkew => "cookie_clock_skew",
        }
    }

    /// The attribute that switches it on.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Delay => "albeit.fault.delay.percent",
            Self::Abort => "albeit.fault.abort.percent",
            Self::Reset => "albeit.fault.reset.percent",
            Self::BlackHole => "albeit.fault.black_hole.percent",
            Self::CloseReusedConnection => "albeit.fault.close_reused_connection.percent",
            Self::SlowTarget => "albeit.fault.slow_target.bytes_per_second",
            Self::DeregistrationPropagation => "albeit.fault.deregistration_propagation.seconds",
            Self::CookieClockSkew => "albeit.fault.cookie_clock_skew.seconds",
        }
    }
}

/// Which faults a target group injects. The default is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FaultAttributes {
    /// `albeit.fault.delay.percent`: 0–100 of requests or flows, default 0.
    pub delay_percent: u8,
    /// `albeit.fault.delay.milliseconds`: 1–3,600,000 ms, default 1000 ms; zero while no request is delayed.
    pub delay: Duration,
    /// `albeit.fault.abort.percent`: 0–100 of requests, default 0.
    pub abort_percent: u8,
    /// `albeit.fault.abort.status_code`: 400–599, default 503.
    pub abort_status: Option<StatusCode>,
    /// `albeit.fault.reset.percent`: 0–100 of requests or flows, default 0.
    pub reset_percent: u8,
    /// `albeit.fault.black_hole.percent`: 0–100 of requests or flows, default 0.
    pub black_hole_percent: u8,
    /// `albeit.fault.close_reused_connection.percent`: 0–100 of requests for which there is an idle
    /// connection, default 0.
    pub close_reused_connection_percent: u8,
    /// `albeit.fault.slow_target.bytes_per_second`; `None` is as fast as it comes, the default.
    pub slow_target: Option<NonZeroU32>,
    /// `albeit.fault.deregistration_propagation.seconds`: 0–3600 s; zero is off, the default.
    pub deregistration_propagation: Duration,
    /// `albeit.fault.cookie_clock_skew.seconds`: by how many seconds the clock is ahead. Default 0.
    pub cookie_clock_skew: i32,
}

impl FaultAttributes {
    /// Whether any fault is on.
    #[must_use]
    pub fn is_any_on(&self) -> bool {
        self.all_on().next().is_some()
    }

    /// The faults that are on.
    pub fn all_on(&self) -> impl Iterator<Item = Fault> + '_ {
        Fault::ALL.into_iter().filter(|fault| self.describe(*fault).is_some())
    }

    /// What a fault does, in words that finish "a fault is on: "; `None` if it is off.
    #[must_use]
    pub fn describe(&self, fault: Fault) -> Option<Description<'_>> {
        let is_on = match fault {
            Fault::Delay => self.delay_percent > 0,
            Fault::Abort => self.abort_percent > 0,
            Fault::Reset => self.reset_percent > 0,
            Fault::BlackHole => self.black_hole_percent > 0,
            Fault::CloseReusedConnection => self.close_reused_connection_percent > 0,
            Fault::SlowTarget => self.slow_target.is_some(),
            Fault::DeregistrationPropagation => !self.deregistration_propagation.is_zero(),
            Fault::CookieClockSkew => self.cookie_clock_skew != 0,
        };
        is_on.then_some(Description { attributes: self, fault })
    }
}

/// A fault that is on, for people.
#[derive(Debug, Clone, Copy)]
pub struct Description<'a> {
    attributes: &'a FaultAttributes,
    fault: Fault,
}

impl fmt::Display for Description<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let it = self.attributes;
        match self.fault {
            Fault::Delay => write!(f, "{} % wait {} ms", it.delay_percent, it.delay.as_millis()),
            Fault::Abort => {
                let status = it.abort_status.map_or(0, |status| status.as_u16());
                write!(f, "{} % are answered {status}", it.abort_percent)
            }
            Fault::Reset => write!(f, "{} % are reset", it.reset_percent),
            Fault::BlackHole => write!(f, "{} % are never answered", it.black_hole_percent),
            Fault::CloseReusedConnection => {
                let percent = it.close_reused_connection_percent;
                write!(f, "{percent} % meet a pooled connection that was just closed")
            }
            Fault::SlowTarget => {
                let rate = it.slow_target.map_or(0, NonZeroU32::get);
                write!(f, "targets send {rate} bytes a second")
            }
            Fault::DeregistrationPropagation => {
                let seconds = it.deregistration_propagation.as_secs();
                write!(f, "deregistered targets get new work for {seconds} s")
            }
            Fault::CookieClockSkew => {
                write!(f, "cookies are sealed by a clock that is {:+} s off", it.cookie_clock_skew)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_switched_on_by_an_attribute_with_its_name() {
        use crate::model::attributes::{Resource, of};
        for fault in Fault::ALL {
            let key = fault.key();
            assert_eq!(key.split('.').nth(2), Some(fault.as_str()), "{key}");
            assert!(of(Resource::TargetGroup).any(|attribute| attribute.key == key), "{key}");
        }
    }

    #[test]
    fn only_what_is_on_is_described() {
        let mut attributes = FaultAttributes::default();
        assert!(!attributes.is_any_on());
        attributes.delay_percent = 30;
        attributes.delay = Duration::from_millis(250);
        attributes.cookie_clock_skew = -90;
        let described: Vec<String> = attributes
            .all_on()
            .filter_map(|fault| Some(format!("{}: {}", fault.as_str(), attributes.describe(fault)?)))
            .collect();
        assert_eq!(
            described,
            ["delay: 30 % wait 250 ms", "cookie_clock_skew: cookies are sealed by a clock that is -90 s off"]
        );
    }
}

//! State machine of one target's health. Pure: no clock, no socket.
//!
//! ELB pages: "Health checks for Application Load Balancer target groups"
//! (target health status, reason codes), "Edit target group attributes for your
//! Network Load Balancer" (unhealthy draining interval). Invariant: a new target
//! is healthy after a single passed check; the healthy threshold counts for
//! recovery only.

use std::fmt;

use tokio::time::Instant;

use crate::model::HealthCheck;

/// What one health check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The matcher accepted this code of the target's: an HTTP status, or with gRPC a `grpc-status`.
    Passed(u16),
    /// The connection was established, and nothing else was asked for (TCP).
    Connected,
    /// The target answered with this status code, which the matcher does not accept.
    ResponseCodeMismatch(u16),
    /// The target answered with this `grpc-status`, which the matcher does not accept.
    GrpcUnexpectedStatus(u16),
    /// The target answered without a `grpc-status`.
    GrpcStatusHeaderEmpty,
    /// No answer within the health check timeout, connecting included.
    Timeout,
    /// The connection was refused, reset or closed before there was an answer.
    ConnectionReset,
    /// No usable answer: not HTTP, or no TLS could be agreed on.
    TargetError,
    /// The check could not be made: we have run out of files, ports or memory.
    InternalError,
}

/// `TargetHealth.State`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Registered, not yet known to be healthy or unhealthy.
    Initial,
    /// Passed its health checks.
    Healthy,
    /// Failed its health checks.
    Unhealthy,
    /// Unhealthy, but keeps the flows it has until the unhealthy draining interval is over (network load
    /// balancers).
    UnhealthyDraining,
    /// Deregistered; requests in flight may end until the deregistration delay is over.
    Draining,
    /// Gets no traffic: not registered, or its group is not used by any rule.
    Unused,
}

impl State {
    /// The name in the `ELBv2` API: `initial`, `healthy`, `unhealthy`, `unhealthy.draining`, `draining`, `unused`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::UnhealthyDraining => "unhealthy.draining",
            Self::Draining => "draining",
            Self::Unused => "unused",
        }
    }

    /// Whether the target is unhealthy, be it that it keeps its flows.
    #[must_use]
    pub const fn is_unhealthy(self) -> bool {
        matches!(self, Self::Unhealthy | Self::UnhealthyDraining)
    }
}

/// `TargetHealth.Reason`: why a target is in a state other than healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// `Elb.RegistrationInProgress`.
    RegistrationInProgress,
    /// `Elb.InitialHealthChecking`.
    InitialHealthChecking,
    /// `Elb.InternalError`: as the API reference has it, a reason to be unhealthy.
    InternalError,
    /// `Target.ResponseCodeMismatch` with the code the target sent.
    ResponseCodeMismatch(u16),
    /// `Target.Timeout`.
    Timeout,
    /// `Target.FailedHealthChecks`.
    FailedHealthChecks,
    /// `Target.NotRegistered`.
    NotRegistered,
    /// `Target.NotInUse`.
    NotInUse,
    /// `Target.DeregistrationInProgress`.
    DeregistrationInProgress,
    /// `Albeit.AdministrativeOverride`: an operator said so, whatever the checks find.
    AdministrativeOverride,
}

impl Reason {
    /// The reason code of the `ELBv2` API.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::RegistrationInProgress => "Elb.RegistrationInProgress",
            Self::InitialHealthChecking => "Elb.InitialHealthChecking",
            Self::InternalError => "Elb.InternalError",
            Self::ResponseCodeMismatch(_) => "Target.ResponseCodeMismatch",
            Self::Timeout => "Target.Timeout",
            Self::FailedHealthChecks => "Target.FailedHealthChecks",
            Self::NotRegistered => "Target.NotRegistered",
            Self::NotInUse => "Target.NotInUse",
            Self::DeregistrationInProgress => "Target.DeregistrationInProgress",
            Self::AdministrativeOverride => "Albeit.AdministrativeOverride",
        }
    }
}

/// The description text of the `ELBv2` API.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ResponseCodeMismatch(code) => {
                return write!(f, "Health checks failed with these codes: [{code}]");
            }
            Self::RegistrationInProgress => "Target registration is in progress",
            Self::InitialHealthChecking => "Initial health checks in progress",
            Self::InternalError => "Health checks failed due to an internal error",
            Self::Timeout => "Request timed out",
            Self::FailedHealthChecks => "Health checks failed",
            Self::NotRegistered => "Target is not registered to the target group",
            Self::NotInUse => "Target group is not configured to receive traffic from the load balancer",
            Self::DeregistrationInProgress => "Target deregistration is in progress",
            Self::AdministrativeOverride => "Health is forced through the admin API",
        })
    }
}

/// `TargetHealth`: a state and, unless healthy, the reason for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// The state.
    pub state: State,
    /// Why; `None` exactly when healthy.
    pub reason: Option<Reason>,
}

impl Health {
    const HEALTHY: Self = Self { state: State::Healthy, reason: None };

    const fn because(state: State, reason: Reason) -> Self {
        Self { state, reason: Some(reason) }
    }
}

/// What an operator says of a target's health, whatever its checks find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Forced {
    /// It gets traffic.
    Healthy,
    /// It gets none.
    Unhealthy,
}

/// How many checks in a row change the state of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// `HealthyThresholdCount`: passed checks until an unhealthy target is healthy again. 2–10, default 5.
    pub healthy: u8,
    /// `UnhealthyThresholdCount`: failed checks until a target is unhealthy. 2–10, default 2.
    pub unhealthy: u8,
}

impl From<&HealthCheck> for Thresholds {
    fn from(settings: &HealthCheck) -> Self {
        Self { healthy: settings.healthy_threshold, unhealthy: settings.unhealthy_threshold }
    }
}

/// Follows one target from registration to its end.
#[derive(Debug, Clone)]
pub struct Tracker {
    health: Health,
    forced: Option<Forced>,
    /// Consecutive checks that speak against the present state.
    streak: u8,
    /// End of the unhealthy draining interval; `None` unless it runs.
    keeps_flows_until: Option<Instant>,
}

impl Default for Tracker {
    fn default() -> Self {
        Self::new()
    }
}

impl Tracker {
    /// A target that was just registered.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            health: Health::because(State::Initial, Reason::RegistrationInProgress),
            forced: None,
            streak: 0,
            keeps_flows_until: None,
        }
    }

    /// State and reason now. What is forced stands for the state of a registered target that is in use;
    /// its checks go on below.
    #[must_use]
    pub const fn health(&self) -> Health {
        let Health { state, reason } = self.verdict();
        match state {
            State::Unhealthy if self.keeps_flows_until.is_some() => {
                Health { state: State::UnhealthyDraining, reason }
            }
            _ => Health { state, reason },
        }
    }

    /// What checks and operators say: never `UnhealthyDraining`.
    const fn verdict(&self) -> Health {
        match (self.health.state, self.forced) {
            (State::Draining | State::Unused, _) | (_, None) => self.health,
            (_, Some(Forced::Healthy)) => Health::HEALTHY,
            (_, Some(Forced::Unhealthy)) => Health::because(State::Unhealthy, Reason::AdministrativeOverride),
        }
    }

    /// What an operator said of the target.
    #[must_use]
    pub const fn forced(&self) -> Option<Forced> {
        self.forced
    }

    /// An operator forces the health, or leaves it to the checks again.
    pub const fn handle_forced(&mut self, forced: Option<Forced>) {
        self.forced = forced;
        self.settle();
    }

    /// The target, just turned unhealthy, keeps its flows until then. Of no effect on one that is not
    /// unhealthy.
    pub const fn handle_flows_kept(&mut self, until: Instant) {
        self.keeps_flows_until = Some(until);
        self.settle();
    }

    /// Time goes by: the unhealthy draining interval ends when it is over.
    pub fn handle_time(&mut self, now: Instant) {
        if self.keeps_flows_until.is_some_and(|until| now >= until) {
            self.keeps_flows_until = None;
        }
    }

    /// What the checks have found, whatever an operator says.
    #[must_use]
    pub const fn checked(&self) -> Health {
        self.health
    }

    /// The target, just registered, was checked before by another process. Only healthy and unhealthy count.
    pub const fn handle_known(&mut self, checked: Health) {
        if let (State::Initial, State::Healthy | State::Unhealthy) = (self.health.state, checked.state) {
            self.set(checked);
        }
    }

    /// Health checks begin, or begin again. Only a target without any result changes.
    pub fn handle_checks_started(&mut self) {
        let registering = self.health.reason == Some(Reason::RegistrationInProgress);
        if registering || self.health.state == State::Unused {
            self.set(Health::because(State::Initial, Reason::InitialHealthChecking));
        }
    }

    /// The target's group is no longer used by any rule: it is not checked any more.
    pub fn handle_not_in_use(&mut self) {
        if self.health.state != State::Draining {
            self.set(Health::because(State::Unused, Reason::NotInUse));
        }
    }

    /// The target was deregistered.
    pub fn handle_deregistered(&mut self) {
        self.set(Health::because(State::Draining, Reason::DeregistrationInProgress));
    }

    /// The deregistration delay is over.
    pub fn handle_delay_over(&mut self) {
        self.set(Health::because(State::Unused, Reason::NotRegistered));
    }

    /// Takes in the outcome of a check. Draining and unused targets ignore it.
    pub fn handle_outcome(&mut self, outcome: Outcome, thresholds: Thresholds) {
        let failure = match outcome {
            Outcome::Passed(_) | Outcome::Connected => None,
            Outcome::ResponseCodeMismatch(code) | Outcome::GrpcUnexpectedStatus(code) => {
                Some(Reason::ResponseCodeMismatch(code))
            }
            Outcome::Timeout => Some(Reason::Timeout),
            Outcome::InternalError => Some(Reason::InternalError),
            Outcome::GrpcStatusHeaderEmpty | Outcome::ConnectionReset | Outcome::TargetError => {
                Some(Reason::FailedHealthChecks)
            }
        };
        match (self.health.state, failure) {
            // `UnhealthyDraining` is a face of `Unhealthy`, never kept here.
            (State::Draining | State::Unused | State::UnhealthyDraining, _) => {}
            (State::Initial, None) => self.set(Health::HEALTHY),
            (State::Healthy, None) => self.streak = 0,
            (State::Unhealthy, None) => {
                self.streak = self.streak.saturating_add(1);
                if self.streak >= thresholds.healthy {
                    self.set(Health::HEALTHY);
                }
            }
            (State::Initial | State::Healthy, Some(reason)) => {
                self.streak = self.streak.saturating_add(1);
                if self.streak >= thresholds.unhealthy {
                    self.set(Health::because(State::Unhealthy, reason));
                }
            }
            (State::Unhealthy, Some(reason)) => self.set(Health::because(State::Unhealthy, reason)),
        }
    }

    const fn set(&mut self, health: Health) {
        self.health = health;
        self.streak = 0;
        self.settle();
    }

    /// Only an unhealthy target has an unhealthy draining interval.
    const fn settle(&mut self) {
        if !self.verdict().state.is_unhealthy() {
            self.keeps_flows_until = None;
        }
    }
}

#[cfg(test)]
mod tests;

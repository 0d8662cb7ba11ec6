//! The rules: one file each, named by its code.
//!
//! A rule looks at what is known and says what clashes; it says nothing about
//! what nobody told. The code is the name of the page `docs/findings/CODE.md`.

mod certificate_expires;
mod deregistration_delay_default;
mod deregistration_delay_short;
mod heartbeat_idle_timeout;
mod idle_timeout_hop;
mod keep_alive_race;
mod measured_differs;
mod nlb_alb_idle;
mod nlb_keepalive;
mod no_heartbeat;
mod polling_without_stickiness;
mod session_in_memory_without_stickiness;
mod shutdown_grace_stop_timeout;
mod shutdown_not_graceful;
mod socket_io_ping;
mod sockjs_heartbeat;
mod stickiness_shorter_than_session;

use super::{
    finding::{Finding, Severity},
    system::System,
};

/// A rule of the doctor.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its code, in lower case with hyphens.
    pub code: &'static str,
    /// How bad its findings are at most.
    pub severity: Severity,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// Adds what it finds.
    pub(super) check: fn(&System, &mut Vec<Finding>),
}

/// All rules, by code.
pub const ALL: &[Rule] = &[
    certificate_expires::RULE,
    deregistration_delay_default::RULE,
    deregistration_delay_short::RULE,
    heartbeat_idle_timeout::RULE,
    idle_timeout_hop::RULE,
    keep_alive_race::RULE,
    measured_differs::RULE,
    nlb_alb_idle::RULE,
    nlb_keepalive::RULE,
    no_heartbeat::RULE,
    polling_without_stickiness::RULE,
    session_in_memory_without_stickiness::RULE,
    shutdown_grace_stop_timeout::RULE,
    shutdown_not_graceful::RULE,
    socket_io_ping::RULE,
    sockjs_heartbeat::RULE,
    stickiness_shorter_than_session::RULE,
];

#[cfg(test)]
mod tests;

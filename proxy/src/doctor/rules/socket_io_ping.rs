//! Engine.IO's pings come too seldom for the idle timeout.
//!
//! Over long polling the ping is what answers the waiting request. That
//! `pingInterval` and `pingTimeout` together are longer than the idle timeout
//! does no harm: pings are answered at once.

use std::time::Duration;

use super::{Finding, Rule, Severity, System, heartbeat_idle_timeout::too_seldom};
use crate::doctor::setting::human;

/// Socket.IO's own.
const DEFAULT: Duration = Duration::from_secs(25);

pub(super) const RULE: Rule = Rule {
    code: "socket-io-ping",
    severity: Severity::Error,
    title: "Socket.IO's ping interval is too long for the idle timeout",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for hop in system.hops() {
        let (Some(application), Some(idle)) = (hop.application, hop.idle_timeout()) else { continue };
        let Some(socket_io) = &application.socket_io else { continue };
        let ping = &socket_io.ping_interval;
        let Some(severity) = too_seldom(ping.value, idle.value) else { continue };
        let polls = if socket_io.polling.value { "504 for the waiting poll, " } else { "" };
        findings.push(Finding {
            code: RULE.code,
            severity,
            subject: application.title(),
            problem: format!(
                "Socket.IO pings every {} on connections that {} gives up after {} of silence",
                human(ping.value),
                hop.load_balancer.title(),
                human(idle.value)
            ),
            symptom: format!(
                "after {}: {polls}\"transport close\" or \"transport error\" at the client (close code 1006), \
                 then a reconnect",
                human(idle.value)
            ),
            fix: format!(
                "set {} to at most {}, such as {}, or raise {}",
                ping.key,
                ping.in_its_unit(idle.value / 2),
                ping.in_its_unit((idle.value / 2).min(DEFAULT)),
                idle.key
            ),
            evidence: vec![ping.evidence(), idle.evidence()],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, nlb, socket_io};

    #[test]
    fn the_ping_interval_decides_alone() {
        for (interval, timeout, expected) in [
            (25, 60, None),
            (30, 20, None),
            (50, 20, Some(Severity::Warning)),
            (60, 20, Some(Severity::Error)),
        ] {
            alb().app(|app| app.socket_io = socket_io(interval, timeout)).expect(RULE.code, expected);
        }
        alb().expect(RULE.code, None);
        nlb().app(|app| app.socket_io = socket_io(60, 20)).expect(RULE.code, None);
    }
}

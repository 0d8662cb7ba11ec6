//! A quiet connection through a Network Load Balancer is forgotten, because
//! TCP keepalive begins later than the idle timeout ends.
//!
//! ELB: "Clients or targets can use TCP keepalive packets to reset the idle
//! timeout"; when it is over, the next packet is answered by RST.

use std::time::Duration;

use super::{Finding, Rule, Severity, System};
use crate::doctor::setting::{Setting, human};

/// `net.ipv4.tcp_keepalive_time` of Linux.
const LINUX: Duration = Duration::from_secs(7200);

pub(super) const RULE: Rule = Rule {
    code: "nlb-keepalive",
    severity: Severity::Warning,
    title: "TCP keepalive begins after the idle timeout of the Network Load Balancer",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (hop, application) in system.last_hops() {
        let (false, Some(idle)) = (hop.load_balancer.is_application(), hop.idle_timeout()) else { continue };
        // Only connections that are meant to live need packets.
        let Some(long) = application.long_connections() else { continue };
        if application.speaks_within(idle.value) {
            continue;
        }
        let keepalive = application
            .tcp_keepalive
            .clone()
            .unwrap_or_else(|| Setting::default_of("Linux", LINUX, "net.ipv4.tcp_keepalive_time", "7200"));
        if keepalive.value < idle.value {
            continue;
        }
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: application.title(),
            problem: format!(
                "{} forgets a silent connection after {}, TCP keepalive of {} begins after {}",
                hop.load_balancer.title(),
                human(idle.value),
                application.title(),
                human(keepalive.value)
            ),
            symptom: format!(
                "connections that were quiet for {} look open; the next message on them gets \"connection reset by peer\"",
                human(idle.value)
            ),
            fix: format!(
                "set {} to less than {}, such as {}; or send heartbeats as often",
                keepalive.key,
                human(idle.value),
                keepalive.in_seconds(idle.value / 3)
            ),
            evidence: vec![keepalive.evidence(), idle.evidence(), long],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{
        rules::tests::build::{alb, beat, nlb, secs, set},
        system::Application,
    };

    fn web_sockets(app: &mut Application) {
        app.web_socket_paths = vec![set("endpoint", "/ws".to_owned())];
    }

    #[test]
    fn packets_must_come_before_the_idle_timeout() {
        for (keepalive, expected) in
            [(None, Some(Severity::Warning)), (Some(7200), Some(Severity::Warning)), (Some(120), None)]
        {
            let keepalive = keepalive.map(|seconds| secs("tcp_keepalive_time", seconds));
            let system = nlb().app(web_sockets).app(|app| app.tcp_keepalive = keepalive);
            system.expect(RULE.code, expected);
        }
    }

    #[test]
    fn heartbeats_will_do_as_well() {
        nlb().app(|app| app.heartbeats = vec![beat("WebSocket ping", 25)]).expect(RULE.code, None);
    }

    #[test]
    fn nothing_is_said_without_long_connections_or_behind_an_alb() {
        nlb().expect(RULE.code, None);
        alb().app(web_sockets).expect(RULE.code, None);
    }
}

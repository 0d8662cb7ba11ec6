//! SockJS heartbeats come too seldom for the idle timeout: over an HTTP
//! transport they are what answers the waiting request.
//!
//! ELB: "The load balancer established a connection to the target but the
//! target did not respond before the idle timeout period elapsed" (HTTP 504).

use super::{Finding, Rule, Severity, System, heartbeat_idle_timeout::too_seldom};
use crate::doctor::{path::Carrier, setting::human};

pub(super) const RULE: Rule = Rule {
    code: "sockjs-heartbeat",
    severity: Severity::Error,
    title: "SockJS heartbeats come too seldom for the idle timeout",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for hop in system.hops() {
        let (Some(application), Some(idle)) = (hop.application, hop.idle_timeout()) else { continue };
        let of_sock_js = |carrier| carrier == Carrier::SockJs;
        let Some(heartbeat) = application.shortest_heartbeat(of_sock_js) else { continue };
        // STOMP's heart-beats run over SockJS, too.
        let others = application.shortest_heartbeat(|carrier| carrier == Carrier::WebSocket);
        if others.is_some_and(|other| other.interval.value < idle.value) {
            continue;
        }
        let Some(severity) = too_seldom(heartbeat.interval.value, idle.value) else { continue };
        findings.push(Finding {
            code: RULE.code,
            severity,
            subject: application.title(),
            problem: format!(
                "SockJS sends a heartbeat every {} on connections that {} gives up after {} of silence",
                human(heartbeat.interval.value),
                hop.load_balancer.title(),
                human(idle.value)
            ),
            symptom: format!(
                "after {}: 504 for the waiting xhr request, close code 1006 for the WebSocket; \
                 clients fall back and reconnect for ever",
                human(idle.value)
            ),
            fix: format!(
                "set {} to at most {}; SockJS's own is 25 s",
                heartbeat.interval.key,
                heartbeat.interval.in_its_unit(idle.value / 2)
            ),
            evidence: vec![heartbeat.interval.evidence(), idle.evidence()],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, beat};

    #[test]
    fn half_the_idle_timeout_is_enough() {
        for (interval, expected) in [(25, None), (40, Some(Severity::Warning)), (60, Some(Severity::Error))] {
            let system = alb().app(|app| app.heartbeats = vec![beat("SockJS heartbeat", interval)]);
            system.expect(RULE.code, expected);
        }
        alb().expect(RULE.code, None);
    }

    #[test]
    fn heart_beats_of_stomp_travel_over_sockjs() {
        let both = vec![beat("SockJS heartbeat", 120), beat("STOMP heart-beat", 10)];
        alb().app(|app| app.heartbeats = both).expect(RULE.code, None);
    }
}

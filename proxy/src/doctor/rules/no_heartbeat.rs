//! WebSockets on which nothing is known to be sent while they are quiet.
//!
//! ELB: "By default, Elastic Load Balancing sets the idle timeout value for
//! your load balancer to 60 seconds".

use std::time::Duration;

use super::{Finding, Rule, Severity, System};
use crate::doctor::setting::human;

/// ELB's default: nobody thought of WebSockets.
const DEFAULT_IDLE: Duration = Duration::from_secs(60);
/// Somebody who raised the idle timeout so far wants quiet connections to live.
const LONG_IDLE: Duration = Duration::from_secs(1800);

pub(super) const RULE: Rule = Rule {
    code: "no-heartbeat",
    severity: Severity::Warning,
    title: "no heartbeat is known to keep quiet WebSockets open",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (hop, application) in system.last_hops() {
        if !hop.load_balancer.is_application() || application.socket_io.is_some() {
            continue;
        }
        let (Some(what), Some(idle)) = (application.long_connections(), hop.idle_timeout()) else { continue };
        if application.shortest_heartbeat(|_| true).is_some() {
            continue;
        }
        let switched_off = application.heartbeats.first();
        let harmless = if switched_off.is_some() { LONG_IDLE } else { DEFAULT_IDLE + Duration::from_secs(1) };
        if idle.value >= harmless {
            continue;
        }
        let (problem, fix, first) = match switched_off {
            Some(off) => (
                format!("the {} of {} is off", off.what, application.title()),
                format!("set {} to {}", off.interval.key, off.interval.in_its_unit(idle.value / 2)),
                off.interval.evidence(),
            ),
            None => (
                format!("no heartbeat of {} is known", application.title()),
                format!("send a heartbeat at least every {}", human(idle.value / 2)),
                what,
            ),
        };
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: application.title(),
            problem: format!(
                "{problem}, and {} cuts connections after {} of silence",
                hop.load_balancer.title(),
                human(idle.value)
            ),
            symptom: format!("quiet WebSockets end after {} with close code 1006", human(idle.value)),
            fix: format!("{fix}, or raise {}", idle.key),
            evidence: vec![first, idle.evidence()],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{
        rules::tests::build::{Given, alb, beat, set},
        system::Heartbeat,
    };

    fn system(idle: &str, heartbeats: Vec<Heartbeat>) -> Given {
        alb().lb("idle_timeout.timeout_seconds", idle).app(|app| {
            app.web_socket_paths = vec![set("endpoint", "/ws".to_owned())];
            app.heartbeats = heartbeats;
        })
    }

    #[test]
    fn nothing_known_is_bad_at_the_default_only() {
        system("60", vec![]).expect(RULE.code, Some(Severity::Warning));
        system("3600", vec![]).expect(RULE.code, None);
        system("60", vec![beat("WebSocket ping", 25)]).expect(RULE.code, None);
        alb().expect(RULE.code, None);
    }

    #[test]
    fn switched_off_is_bad_until_the_timeout_is_long() {
        let off = || vec![beat("STOMP heart-beat", 0)];
        system("300", off()).expect(RULE.code, Some(Severity::Warning));
        system("3600", off()).expect(RULE.code, None);
        system("60", vec![beat("STOMP heart-beat", 0), beat("WebSocket ping", 25)]).expect(RULE.code, None);
    }
}

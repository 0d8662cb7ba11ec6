//! A WebSocket's heartbeats come too seldom for the idle timeout of a hop: of
//! the load balancer, of the Network Load Balancer in front of it, or of a
//! proxy between load balancer and application.
//!
//! ELB: the idle timeout is reset by any byte in either direction; the ping
//! frames of a WebSocket are bytes, TCP keepalive packets are not. Those do
//! reset the idle timeout of a Network Load Balancer.

use std::time::Duration;

use super::{Finding, Rule, Severity, System};
use crate::doctor::{
    path::Carrier,
    setting::{Setting, human},
    system::{Application, Heartbeat, Hop},
};

pub(super) const RULE: Rule = Rule {
    code: "heartbeat-idle-timeout",
    severity: Severity::Error,
    title: "heartbeats come too seldom for the idle timeout",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for hop in system.hops() {
        let Some(application) = hop.application else { continue };
        let Some(heartbeat) = application.shortest_heartbeat(|carrier| carrier == Carrier::WebSocket) else {
            continue;
        };
        for (who, idle) in timeouts(&hop, application) {
            if let Some(severity) = too_seldom(heartbeat.interval.value, idle.value) {
                findings.push(finding(severity, application, heartbeat, &who, &idle));
            }
        }
    }
}

/// How bad an interval is for an idle timeout: the same is as bad as longer, more than half loses to a slow network.
pub(super) fn too_seldom(interval: Duration, idle: Duration) -> Option<Severity> {
    if interval >= idle {
        Some(Severity::Error)
    } else if interval > idle / 2 {
        Some(Severity::Warning)
    } else {
        None
    }
}

/// The idle timeouts that only heartbeats reset on the way to an application.
fn timeouts(hop: &Hop<'_>, application: &Application) -> Vec<(String, Setting<Duration>)> {
    let balancer = hop.idle_timeout().filter(|idle| !kept_by_tcp(hop, application, idle.value));
    let balancer = balancer.map(|idle| (hop.load_balancer.title(), idle));
    let proxies =
        application.hops.iter().map(|idle| ("the proxy before the application".to_owned(), idle.clone()));
    balancer.into_iter().chain(proxies).collect()
}

/// Whether TCP keepalive packets of the application keep a flow of a Network Load Balancer.
fn kept_by_tcp(hop: &Hop<'_>, application: &Application, idle: Duration) -> bool {
    !hop.load_balancer.is_application()
        && hop.target_group.serves_clients()
        && application.tcp_keepalive.as_ref().is_some_and(|keepalive| keepalive.value < idle)
}

fn finding(
    severity: Severity,
    application: &Application,
    heartbeat: &Heartbeat,
    who: &str,
    idle: &Setting<Duration>,
) -> Finding {
    Finding {
        code: RULE.code,
        severity,
        subject: application.title(),
        problem: format!(
            "{} every {} on a connection that {who} cuts after {} of silence",
            heartbeat.what,
            human(heartbeat.interval.value),
            human(idle.value)
        ),
        symptom: match severity {
            Severity::Error => format!(
                "quiet WebSockets end after {} with close code 1006, at the client without a close frame",
                human(idle.value)
            ),
            _ => "one late or lost heartbeat is enough: now and then a quiet WebSocket ends with close code 1006"
                .to_owned(),
        },
        fix: format!(
            "set {} to at most {}, or {} to more than {}",
            heartbeat.interval.key,
            heartbeat.interval.in_its_unit(idle.value / 2),
            idle.key,
            idle.in_seconds(heartbeat.interval.value.saturating_mul(2))
        ),
        evidence: vec![heartbeat.interval.evidence(), idle.evidence()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, beat, nlb, nlb_before_alb, secs};

    #[test]
    fn the_interval_must_be_half_the_idle_timeout() {
        for (interval, idle, expected) in [
            (25, "60", None),
            (30, "60", None),
            (31, "60", Some(Severity::Warning)),
            (60, "60", Some(Severity::Error)),
            (120, "60", Some(Severity::Error)),
            (120, "3600", None),
            (0, "60", None),
        ] {
            let system = alb().lb("idle_timeout.timeout_seconds", idle);
            system
                .app(|app| app.heartbeats = vec![beat("WebSocket ping", interval)])
                .expect(RULE.code, expected);
        }
        alb().expect(RULE.code, None);
    }

    #[test]
    fn the_most_frequent_heartbeat_of_a_websocket_counts() {
        let both = vec![beat("STOMP heart-beat", 120), beat("WebSocket ping", 25)];
        alb().app(|app| app.heartbeats = both).expect(RULE.code, None);
        let other = vec![beat("STOMP heart-beat", 120), beat("SockJS heartbeat", 25)];
        alb().app(|app| app.heartbeats = other).expect(RULE.code, Some(Severity::Error));
    }

    #[test]
    fn every_hop_counts() {
        let slow = |app: &mut Application| app.heartbeats = vec![beat("WebSocket ping", 400)];
        nlb().app(slow).expect(RULE.code, Some(Severity::Error));
        let raised = |value| nlb().app(slow).of_listener("tcp.idle_timeout.seconds", value);
        raised("900").expect(RULE.code, None);
        let chain = nlb_before_alb().lb("idle_timeout.timeout_seconds", "3600");
        chain.app(slow).expect(RULE.code, Some(Severity::Error));
        let proxy = alb().app(|app| {
            app.heartbeats = vec![beat("WebSocket ping", 25)];
            app.hops = vec![secs("proxy_read_timeout", 20)];
        });
        proxy.expect(RULE.code, Some(Severity::Error));
    }

    #[test]
    fn tcp_keepalive_keeps_flows_of_a_network_load_balancer_only() {
        let kept = |app: &mut Application| {
            app.heartbeats = vec![beat("WebSocket ping", 400)];
            app.tcp_keepalive = Some(secs("tcp_keepalive", 60));
        };
        nlb().app(kept).expect(RULE.code, None);
        alb().app(kept).expect(RULE.code, Some(Severity::Error));
    }
}

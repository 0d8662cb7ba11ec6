//! Requests of one SockJS or Socket.IO session reach targets that do not know it.

use super::{Finding, Rule, Severity, System};
use crate::doctor::path::Instances;

pub(super) const RULE: Rule = Rule {
    code: "polling-without-stickiness",
    severity: Severity::Error,
    title: "long polling over several targets without stickiness",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (hop, application) in system.last_hops() {
        let (Some(polling), Some(sticky)) =
            (application.polling(), hop.target_group.attributes.flag("stickiness.enabled"))
        else {
            continue;
        };
        if sticky.value {
            continue;
        }
        let (severity, count) = match hop.instances() {
            Instances::One => continue,
            Instances::Several(count) => (Severity::Error, Some(count)),
            Instances::Unknown => (Severity::Warning, None),
        };
        let targets = match &count {
            Some(count) => format!("{} targets", count.written),
            None => "several targets, if there are".to_owned(),
        };
        findings.push(Finding {
            code: RULE.code,
            severity,
            subject: hop.target_group.title(),
            problem: format!(
                "{} offers {}, and {} spreads its requests over {targets}: {} is {}",
                application.title(),
                polling.what,
                hop.load_balancer.title(),
                sticky.key,
                sticky.written
            ),
            symptom: "400 {\"code\":1,\"message\":\"Session ID unknown\"} of Socket.IO, 404 for xhr and xhr_send of \
                      SockJS; the more targets, the more often"
                .to_owned(),
            fix: if hop.load_balancer.is_application() {
                format!("set {} to true with the type lb_cookie, or let clients use WebSocket only", sticky.key)
            } else if hop.listener.protocol.value == "TCP" {
                format!("set {} to true (source_ip), or let clients use WebSocket only", sticky.key)
            } else {
                "let clients use WebSocket only, or take an Application Load Balancer, which knows cookies".to_owned()
            },
            evidence: [sticky.evidence(), polling.evidence].into_iter().chain(count).collect(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, nlb, set, sock_js, socket_io};

    #[test]
    fn stickiness_cures_it() {
        let socket_io = || alb().app(|app| app.socket_io = socket_io(25, 20));
        socket_io().expect(RULE.code, Some(Severity::Error));
        socket_io().group("stickiness.enabled", "true").expect(RULE.code, None);
        socket_io().group("stickiness.enabled", "var.sticky").expect(RULE.code, None);
        alb().app(|app| app.sock_js = sock_js(5)).expect(RULE.code, Some(Severity::Error));
        nlb().app(|app| app.sock_js = sock_js(5)).expect(RULE.code, Some(Severity::Error));
        alb().expect(RULE.code, None);
    }

    #[test]
    fn the_number_of_targets_decides() {
        for (targets, instances, expected) in [
            (None, None, Some(Severity::Warning)),
            (Some(1), None, None),
            (Some(1), Some(3), Some(Severity::Error)),
            (None, Some(1), None),
        ] {
            let system =
                alb().target_group(|group| group.targets = targets.map(|count| set("targets", count)));
            let system = system.app(|app| {
                app.socket_io = socket_io(25, 20);
                app.instances = instances.map(|count| set("desired_count", count));
            });
            system.expect(RULE.code, expected);
        }
    }

    #[test]
    fn web_socket_alone_needs_none() {
        let system = alb().app(|app| {
            app.socket_io = socket_io(25, 20).map(|mut io| {
                io.polling = set("transports", false);
                io
            });
        });
        system.expect(RULE.code, None);
    }
}

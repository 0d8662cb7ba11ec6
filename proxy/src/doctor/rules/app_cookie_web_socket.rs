//! Stickiness by an application's cookie, and sessions that may begin with an
//! upgrade, on which many servers set no cookie.

use super::{Finding, Rule, Severity, System};

pub(super) const RULE: Rule = Rule {
    code: "app-cookie-web-socket",
    severity: Severity::Info,
    title: "app_cookie stickiness of sessions that may begin with a WebSocket",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (hop, application) in system.last_hops().filter(|(hop, _)| hop.load_balancer.is_application()) {
        let kind = hop.target_group.attributes.text("stickiness.type");
        let (Some(_), "app_cookie") = (hop.target_group.sticky(), kind.value.as_str()) else { continue };
        let Some(long) = application.long_connections() else { continue };
        let name = hop.target_group.attributes.text("stickiness.app_cookie.cookie_name");
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: hop.target_group.title(),
            problem: format!(
                "clients of {} stay with a target only if it sets the cookie {}, which the answer 101 to an upgrade often \
                 does not",
                application.title(),
                name.value
            ),
            symptom: "AWSALBAPP-0=_remove_ in responses; polls and reconnects reach any target".to_owned(),
            fix: format!("set the cookie with an earlier request, or set {} to lb_cookie", kind.key),
            evidence: vec![kind.evidence(), long],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, socket_io};

    #[test]
    fn the_cookie_of_the_load_balancer_comes_with_every_response() {
        let sockets =
            || alb().group("stickiness.enabled", "true").app(|app| app.socket_io = socket_io(25, 20));
        sockets().group("stickiness.type", "app_cookie").expect(RULE.code, Some(Severity::Info));
        sockets().expect(RULE.code, None);
        let plain = alb().group("stickiness.enabled", "true").group("stickiness.type", "app_cookie");
        plain.expect(RULE.code, None);
    }
}

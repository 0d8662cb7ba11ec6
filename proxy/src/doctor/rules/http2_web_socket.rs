//! WebSockets towards a target group that speaks HTTP/2.
//!
//! ELB: WebSockets need HTTP/1.1 on both sides; a request of HTTP/1.1 for a group
//! of HTTP/2 or gRPC gets 464.

use super::{Finding, Rule, Severity, System};
use crate::doctor::setting::Setting;

pub(super) const RULE: Rule = Rule {
    code: "http2-web-socket",
    severity: Severity::Error,
    title: "WebSockets in a target group of HTTP/2 or gRPC",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (hop, application) in system.last_hops().filter(|(hop, _)| hop.load_balancer.is_application()) {
        let Some(version) = &hop.target_group.protocol_version else { continue };
        let path = application.web_socket_paths.first().map(Setting::evidence);
        let sock_js = application.sock_js_enabled().map(Setting::evidence);
        let socket_io = application.socket_io.as_ref().map(|io| io.ping_interval.evidence());
        let sockets = path.or(sock_js).or(socket_io);
        let (Some(sockets), "HTTP2" | "GRPC") = (sockets, version.value.as_str()) else { continue };
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: hop.target_group.title(),
            problem: format!(
                "{} of {} is {}, and {} serves WebSockets, which need HTTP/1.1",
                version.key,
                hop.target_group.title(),
                version.value,
                application.title()
            ),
            symptom: "every upgrade gets 464; browsers report \"Unexpected response code: 464\"".to_owned(),
            fix: format!("forward the WebSockets' path to a group with {} HTTP1", version.key),
            evidence: vec![version.evidence(), sockets],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, set};

    #[test]
    fn an_upgrade_needs_http_1() {
        for (version, expected) in [
            (Some("HTTP2"), Some(Severity::Error)),
            (Some("GRPC"), Some(Severity::Error)),
            (Some("HTTP1"), None),
            (None, None),
        ] {
            let version = version.map(|version| set("protocol_version", version.to_owned()));
            let system = alb().target_group(|group| group.protocol_version = version);
            system.expect(RULE.code, None);
            let sockets = system.app(|app| app.web_socket_paths = vec![set("endpoint", "/ws".to_owned())]);
            sockets.expect(RULE.code, expected);
        }
    }
}

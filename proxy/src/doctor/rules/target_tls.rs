//! Load balancer and application disagree on TLS between them.

use super::{Finding, Rule, Severity, System};

pub(super) const RULE: Rule = Rule {
    code: "target-tls",
    severity: Severity::Error,
    title: "load balancer and application disagree on TLS",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (hop, application) in system.last_hops() {
        // A proxy in between may end TLS, or begin it.
        let (Some(protocol), Some(tls), []) =
            (&hop.target_group.protocol, &application.tls, application.hops.as_slice())
        else {
            continue;
        };
        let (what, symptom) = match (protocol.value.as_str(), tls.value) {
            ("HTTPS" | "TLS", false) => (
                "takes plain connections only",
                "502 for every request, health checks fail: the handshake with the target does",
            ),
            ("HTTP", true) => (
                "takes TLS only",
                "400 \"This combination of host and port requires TLS\" or 502 for every request, health checks fail",
            ),
            _ => continue,
        };
        findings.push(Finding {
            code: RULE.code,
            // A certificate may be given in ways that nobody wrote down here.
            severity: if tls.place.is_file() { RULE.severity } else { Severity::Warning },
            subject: hop.target_group.title(),
            problem: format!("{} is {}, and {} {what}", protocol.key, protocol.value, application.title()),
            symptom: symptom.to_owned(),
            fix: format!(
                "set {} to {}, or change {}",
                protocol.key,
                if tls.value { "HTTPS" } else { "HTTP" },
                tls.key
            ),
            evidence: vec![protocol.evidence(), tls.evidence()],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, nlb, secs, set};

    #[test]
    fn both_must_speak_tls_or_neither() {
        for (protocol, tls, expected) in [
            ("HTTPS", Some(false), Some(Severity::Error)),
            ("HTTP", Some(true), Some(Severity::Error)),
            ("HTTPS", Some(true), None),
            ("HTTP", Some(false), None),
            ("HTTPS", None, None),
        ] {
            let system =
                alb().target_group(|group| group.protocol = Some(set("protocol", protocol.to_owned())));
            let system = system.app(|app| app.tls = tls.map(|tls| set("server.ssl.enabled", tls)));
            system.expect(RULE.code, expected);
            system.app(|app| app.hops = vec![secs("proxy_read_timeout", 60)]).expect(RULE.code, None);
        }
    }

    #[test]
    fn a_listener_for_tcp_passes_on_what_it_gets() {
        nlb().app(|app| app.tls = Some(set("server.ssl.enabled", true))).expect(RULE.code, None);
    }
}

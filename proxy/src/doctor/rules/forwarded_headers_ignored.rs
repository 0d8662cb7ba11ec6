//! TLS ends at the load balancer, and the application does not look at the
//! header that says so.

use super::{Finding, Rule, Severity, System};

pub(super) const RULE: Rule = Rule {
    code: "forwarded-headers-ignored",
    severity: Severity::Warning,
    title: "the application ignores X-Forwarded-Proto",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (hop, application) in system.last_hops() {
        let Some(believes) = application.forwarded_headers.as_ref().filter(|believes| !believes.value) else {
            continue;
        };
        let plain = hop.target_group.protocol.as_ref().is_some_and(|protocol| protocol.value == "HTTP");
        if !plain || hop.listener.protocol.value != "HTTPS" {
            continue;
        }
        findings.push(Finding {
            code: RULE.code,
            // Many applications never make an address of their own.
            severity: if believes.place.is_file() { RULE.severity } else { Severity::Info },
            subject: application.title(),
            problem: format!(
                "{} speaks HTTPS to clients and HTTP to {}, which ignores X-Forwarded-Proto ({} is {})",
                hop.load_balancer.title(),
                application.title(),
                believes.key,
                believes.written
            ),
            symptom: "redirects and links to http://, redirect loops, ws:// on pages of https://, SockJS's origin check \
                      answers 403, the client's address in logs is the load balancer's"
                .to_owned(),
            fix: format!("set {} to native (or trust the proxy), for the load balancer's subnets only", believes.key),
            evidence: vec![believes.evidence(), hop.listener.protocol.evidence()],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{
        rules::tests::build::{alb, set},
        setting::Setting,
    };

    #[test]
    fn whoever_ends_tls_must_be_believed() {
        for (believes, expected) in [(Some(false), Some(Severity::Warning)), (Some(true), None), (None, None)]
        {
            let believes = believes.map(|believes| set("server.forward-headers-strategy", believes));
            alb().app(|app| app.forwarded_headers = believes).expect(RULE.code, expected);
        }
        let ignores =
            || alb().app(|app| app.forwarded_headers = Some(set("forward-headers-strategy", false)));
        let plain = ignores().listener(|listener| listener.protocol = set("protocol", "HTTP".to_owned()));
        plain.expect(RULE.code, None);
        let encrypted =
            ignores().target_group(|group| group.protocol = Some(set("protocol", "HTTPS".to_owned())));
        encrypted.expect(RULE.code, None);
    }

    #[test]
    fn a_default_is_only_worth_knowing() {
        let default = Setting::default_of("Spring Boot", false, "server.forward-headers-strategy", "none");
        alb().app(|app| app.forwarded_headers = Some(default)).expect(RULE.code, Some(Severity::Info));
    }
}

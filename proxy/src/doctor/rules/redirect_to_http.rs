//! A listener with TLS sends clients to plain HTTP.
//!
//! ELB: "You can redirect HTTP to HTTP, HTTP to HTTPS, and HTTPS to HTTPS. You
//! can't redirect HTTPS to HTTP".

use super::{Finding, Rule, Severity, System};
use crate::doctor::system::Action;

pub(super) const RULE: Rule = Rule {
    code: "redirect-to-http",
    severity: Severity::Error,
    title: "an HTTPS listener redirects to HTTP",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (of, listener) in system.listeners().filter(|(_, listener)| listener.protocol.value == "HTTPS") {
        for rule in &listener.rules {
            for action in &rule.actions {
                let Action::Redirect { protocol, .. } = action else { continue };
                if protocol.value != "HTTP" {
                    continue;
                }
                findings.push(Finding {
                    code: RULE.code,
                    severity: RULE.severity,
                    subject: rule.title(listener, of),
                    problem: format!("{} is HTTPS and redirects to HTTP", rule.title(listener, of)),
                    symptom: "ELB refuses the rule; elsewhere cookies marked Secure stay behind, and browsers with HSTS \
                              go round in circles"
                        .to_owned(),
                    fix: format!("set {} to HTTPS or #{{protocol}}", protocol.key),
                    evidence: vec![protocol.evidence(), listener.protocol.evidence()],
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, set};

    #[test]
    fn tls_stays_tls() {
        for (from, to, expected) in [
            ("HTTPS", "HTTP", Some(Severity::Error)),
            ("HTTPS", "HTTPS", None),
            ("HTTPS", "#{protocol}", None),
            ("HTTP", "HTTP", None),
        ] {
            let system = alb().listener(|listener| listener.protocol = set("protocol", from.to_owned()));
            let host = Some("www.example.com".to_owned());
            let protocol = set("redirect.protocol", to.to_owned());
            let action = Action::Redirect { protocol, host, port: None, path: None, query: None };
            system.default_action(action).expect(RULE.code, expected);
        }
    }
}

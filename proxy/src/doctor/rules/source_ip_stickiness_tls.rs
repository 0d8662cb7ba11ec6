//! Stickiness by source address behind a listener that cannot have it.
//!
//! ELB: "Sticky sessions are not supported with TLS listeners and TLS target
//! groups"; nor with QUIC.

use super::{Finding, Rule, Severity, System};

pub(super) const RULE: Rule = Rule {
    code: "source-ip-stickiness-tls",
    severity: Severity::Error,
    title: "source_ip stickiness behind a TLS listener",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (of, listener) in system.listeners().filter(|(of, _)| !of.is_application()) {
        if !matches!(listener.protocol.value.as_str(), "TLS" | "QUIC" | "TCP_QUIC") {
            continue;
        }
        for group in system.groups_of(listener) {
            let Some(sticky) = group.sticky() else { continue };
            findings.push(Finding {
                code: RULE.code,
                severity: RULE.severity,
                subject: group.title(),
                problem: format!(
                    "{} is {}, but {} is {}, which knows no stickiness",
                    sticky.key,
                    sticky.written,
                    listener.title(of),
                    listener.protocol.value
                ),
                symptom: "clients reach another target with each connection, or ELB refuses the listener".to_owned(),
                fix: format!(
                    "set {} to false, take a TCP listener and end TLS at the targets, or take an Application Load \
                     Balancer",
                    sticky.key
                ),
                evidence: vec![sticky.evidence(), listener.protocol.evidence()],
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{nlb, set};

    #[test]
    fn the_listener_decides() {
        for (protocol, sticky, expected) in
            [("TLS", "true", Some(Severity::Error)), ("TCP", "true", None), ("TLS", "false", None)]
        {
            let system = nlb().listener(|listener| listener.protocol = set("protocol", protocol.to_owned()));
            system.group("stickiness.enabled", sticky).expect(RULE.code, expected);
        }
    }
}

//! A certificate that was met has ended or will soon.

use super::{Finding, Rule, Severity, System};
use crate::doctor::setting::{Evidence, Place};

pub(super) const RULE: Rule = Rule {
    code: "certificate-expires",
    severity: Severity::Error,
    title: "the certificate has ended, or ends soon",
    check,
};

/// Days before the end from which it is told: ACM renews 60 days before, and begins to warn at 45.
const SOON: i64 = 14;

fn check(system: &System, findings: &mut Vec<Finding>) {
    for measured in &system.measured {
        let Some((end, days)) = &measured.certificate_ends else { continue };
        let (severity, problem) = match *days {
            ..0 => (Severity::Error, format!("the certificate ended on {end}")),
            0..SOON => (Severity::Warning, format!("the certificate ends on {end}, in {days} days")),
            _ => continue,
        };
        findings.push(Finding {
            code: RULE.code,
            severity,
            subject: measured.subject.clone(),
            problem,
            symptom: "clients refuse the connection from that day on; WebSockets that are open stay so, and none \
                      comes back after the next reconnect"
                .to_owned(),
            fix: "renew the certificate and give it to the listener; a certificate of ACM that is not renewed lacks \
                  its validation record in DNS"
                .to_owned(),
            evidence: vec![Evidence {
                key: "certificate".into(),
                written: end.as_str().into(),
                place: Place::Measured { at: measured.at.clone() },
            }],
        });
    }
}

//! A listener offers TLS 1.0 or 1.1.
//!
//! ELB: a listener that is made through the API or the CLI without a policy
//! has `ELBSecurityPolicy-2016-08`.

use super::{Finding, Rule, Severity, System};
use crate::model::security_policy::SecurityPolicy;

pub(super) const RULE: Rule = Rule {
    code: "tls-policy-old",
    severity: Severity::Warning,
    title: "the security policy offers TLS 1.0 or 1.1",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (of, listener) in system.listeners() {
        let Some(policy) = &listener.ssl_policy else { continue };
        let Some(known) = SecurityPolicy::by_name(&policy.value) else { continue };
        let Some(oldest) = known.left_out().find(|left_out| left_out.starts_with("TLSv1")) else { continue };
        let unasked = if policy.place.is_file() { "" } else { ", since nobody named a policy" };
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: listener.title(of),
            problem: format!("{} has {}, which offers {oldest}{unasked}", listener.title(of), policy.value),
            symptom: "scanners and auditors complain (PCI DSS wants TLS 1.2 or later)".to_owned(),
            fix: format!("set {} to ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09", policy.key),
            evidence: vec![policy.evidence()],
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
    fn tls_1_2_is_the_least() {
        for (name, expected) in [
            ("ELBSecurityPolicy-2016-08", Some(Severity::Warning)),
            ("ELBSecurityPolicy-TLS13-1-0-2021-06", Some(Severity::Warning)),
            ("ELBSecurityPolicy-TLS-1-1-2017-01", Some(Severity::Warning)),
            ("ELBSecurityPolicy-TLS13-1-2-2021-06", None),
            ("ELBSecurityPolicy-TLS-1-2-2017-01", None),
            ("ELBSecurityPolicy-TLS13-1-3-2021-06", None),
            ("var.policy", None),
        ] {
            let system =
                alb().listener(|listener| listener.ssl_policy = Some(set("ssl_policy", name.to_owned())));
            system.expect(RULE.code, expected);
        }
    }

    #[test]
    fn a_policy_that_nobody_named_is_old() {
        let name = "ELBSecurityPolicy-2016-08";
        let default = Setting::default_of("the API", name.to_owned(), "ssl_policy", name);
        alb()
            .listener(|listener| listener.ssl_policy = Some(default))
            .expect(RULE.code, Some(Severity::Warning));
    }
}

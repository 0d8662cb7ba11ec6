//! The load balancer removes a header that its own rules ask for.
//!
//! ELB: with `routing.http.drop_invalid_header_fields.enabled`, headers whose
//! name has other characters than letters, digits and hyphens are removed.

use super::{Finding, Rule, Severity, System};
use crate::doctor::{setting::Setting, system::ConditionField};

pub(super) const RULE: Rule = Rule {
    code: "drop-invalid-header-fields",
    severity: Severity::Warning,
    title: "a header that rules ask for is removed as invalid",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (of, listener) in system.listeners().filter(|(of, _)| of.is_application()) {
        let drop = of.attributes.flag("routing.http.drop_invalid_header_fields.enabled");
        let Some(drop) = drop.filter(|drop| drop.value) else { continue };
        for rule in &listener.rules {
            for condition in &rule.conditions {
                let ConditionField::HttpHeader(name) = &condition.field else { continue };
                if name.chars().all(|character| character.is_ascii_alphanumeric() || character == '-') {
                    continue;
                }
                findings.push(Finding {
                    code: RULE.code,
                    severity: RULE.severity,
                    subject: rule.title(listener, of),
                    problem: format!(
                        "{} asks for the header {name}, which {} removes as invalid ({} is true)",
                        rule.title(listener, of),
                        of.title(),
                        drop.key
                    ),
                    symptom:
                        "targets never see the header; the metric DroppedInvalidHeaderRequestCount rises"
                            .to_owned(),
                    fix: format!("call it {}, or set {} to false", name.replace('_', "-"), drop.key),
                    evidence: condition
                        .values
                        .first()
                        .map(Setting::evidence)
                        .into_iter()
                        .chain([drop.evidence()])
                        .collect(),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{Given, alb, condition, forward};

    fn header(name: &str) -> Given {
        let header = condition(ConditionField::HttpHeader(name.to_owned()), &["green"]);
        alb().rule(&[header], &[forward(&[("web", 1)])])
    }

    #[test]
    fn an_underscore_is_invalid() {
        let drop = |given: Given| given.lb("routing.http.drop_invalid_header_fields.enabled", "true");
        drop(header("x_tenant")).expect(RULE.code, Some(Severity::Warning));
        drop(header("x-tenant")).expect(RULE.code, None);
        header("x_tenant").expect(RULE.code, None);
    }
}

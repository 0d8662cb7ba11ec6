//! A path pattern with capital letters, which matches no other case.
//!
//! ELB: "The path pattern is case-sensitive"; host names and values of headers
//! are not.

use super::{Finding, Rule, Severity, System};
use crate::doctor::system::{ConditionField, Rule as ListenerRule};

pub(super) const RULE: Rule = Rule {
    code: "path-pattern-case",
    severity: Severity::Info,
    title: "a path pattern matches one spelling of capital letters only",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (of, listener) in system.listeners() {
        let all: Vec<&str> = listener
            .rules
            .iter()
            .flat_map(|rule| rule.conditions_on(&ConditionField::PathPattern))
            .map(|pattern| pattern.value.as_str())
            .collect();
        for rule in listener.rules.iter().filter(|rule| !is_grpc(system, rule)) {
            for pattern in rule.conditions_on(&ConditionField::PathPattern) {
                let lower = pattern.value.to_ascii_lowercase();
                let regular_expression = pattern.value.contains(['^', '\\', '(', '[']);
                if lower == pattern.value || regular_expression || all.contains(&lower.as_str()) {
                    continue;
                }
                findings.push(Finding {
                    code: RULE.code,
                    severity: RULE.severity,
                    subject: rule.title(listener, of),
                    problem: format!(
                        "{} matches {}, and not {lower}",
                        rule.title(listener, of),
                        pattern.value
                    ),
                    symptom: "a link in another spelling falls through to a later rule, mostly to 404"
                        .to_owned(),
                    fix: format!("add {lower} to {} if both are meant", pattern.key),
                    evidence: vec![pattern.evidence()],
                });
            }
        }
    }
}

/// Names of gRPC services have capital letters, and are never typed.
fn is_grpc(system: &System, rule: &ListenerRule) -> bool {
    let groups = rule.forwards().flat_map(|(groups, _)| groups);
    let mut groups = groups.filter_map(|group| system.target_group(&group.target_group.value));
    groups.any(|group| group.protocol_version.as_ref().is_some_and(|version| version.value == "GRPC"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, forward, path, set};

    #[test]
    fn both_spellings_or_small_letters() {
        for (patterns, expected) in [
            (&["/API/*"][..], Some(Severity::Info)),
            (&["/API/*", "/api/*"], None),
            (&["/api/*"], None),
            (&["^/(API|api)/.*$"], None),
        ] {
            alb().rule(&[path(patterns)], &[forward(&[("web", 1)])]).expect(RULE.code, expected);
        }
        alb().expect(RULE.code, None);
    }

    #[test]
    fn services_of_grpc_are_called_so() {
        let orders = alb().rule(&[path(&["/shop.Orders/*"])], &[forward(&[("web", 1)])]);
        orders.expect(RULE.code, Some(Severity::Info));
        let grpc = Some(set("protocol_version", "GRPC".to_owned()));
        orders.target_group(|group| group.protocol_version = grpc).expect(RULE.code, None);
    }
}

//! A condition on the method GET, which HEAD is not covered by.
//!
//! ELB: "If you want to match HEAD requests, too, add HEAD to the condition";
//! methods are compared exactly.

use super::{Finding, Rule, Severity, System};
use crate::doctor::system::ConditionField;

pub(super) const RULE: Rule = Rule {
    code: "method-get-without-head",
    severity: Severity::Info,
    title: "a condition on GET leaves HEAD out",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (of, listener) in system.listeners() {
        for rule in &listener.rules {
            let methods: Vec<_> = rule.conditions_on(&ConditionField::HttpRequestMethod).collect();
            let has = |name| methods.iter().find(|method| method.value == name);
            let (Some(get), None) = (has("GET"), has("HEAD")) else { continue };
            findings.push(Finding {
                code: RULE.code,
                severity: RULE.severity,
                subject: rule.title(listener, of),
                problem: format!("{} matches GET, and not HEAD", rule.title(listener, of)),
                symptom:
                    "link checkers, monitoring and caches that ask with HEAD get another answer than browsers"
                        .to_owned(),
                fix: format!("add HEAD to {}", get.key),
                evidence: vec![get.evidence()],
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, condition, forward};

    #[test]
    fn head_goes_with_get() {
        for (methods, expected) in
            [(&["GET"][..], Some(Severity::Info)), (&["GET", "HEAD"], None), (&["POST"], None)]
        {
            let method = condition(ConditionField::HttpRequestMethod, methods);
            alb().rule(&[method], &[forward(&[("web", 1)])]).expect(RULE.code, expected);
        }
    }
}

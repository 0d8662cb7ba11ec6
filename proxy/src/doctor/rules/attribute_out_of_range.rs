//! An attribute with a value that it cannot have.
//!
//! ELB pages: the API reference of `LoadBalancerAttribute`,
//! `TargetGroupAttribute` and `ListenerAttribute`. Ranges stand in the attribute
//! table alone.

use super::{Finding, Rule, Severity, System};
use crate::{
    doctor::attributes::Attributes,
    model::attributes::{AttributeError, check as check_attribute},
};

pub(super) const RULE: Rule = Rule {
    code: "attribute-out-of-range",
    severity: Severity::Error,
    title: "an attribute has a value that it cannot have",
    check,
};

/// All attributes of a system, with what they belong to.
pub(super) fn every(system: &System) -> Vec<(String, &Attributes)> {
    let balancers = system.load_balancers.iter().map(|of| (of.title(), &of.attributes));
    let listeners = system.listeners().map(|(of, listener)| (listener.title(of), &listener.attributes));
    let groups = system.target_groups.iter().map(|group| (group.title(), &group.attributes));
    balancers.chain(listeners).chain(groups).collect()
}

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (subject, attributes) in every(system) {
        for (key, setting) in attributes.all_given() {
            let value = setting.value.as_str();
            if value.is_empty() || key == "stickiness.app_cookie.cookie_name" {
                continue;
            }
            let checked = check_attribute(attributes.resource(), attributes.kind(), key, value);
            // An expression of Terraform is neither in range nor out of it.
            let allowed = match checked {
                Err(AttributeError::OutOfRange { min, max, or, .. }) if value.parse::<i64>().is_ok() => {
                    format!("{min} to {max}{or}")
                }
                Err(AttributeError::NotOneOf { allowed, .. }) if is_word(value) => allowed.join(", "),
                _ => continue,
            };
            findings.push(Finding {
                code: RULE.code,
                severity: RULE.severity,
                subject: subject.clone(),
                problem: format!("{} of {subject} is {}, allowed is {allowed}", setting.key, setting.written),
                symptom: "ELB refuses the change with ValidationError; what was set before goes on to hold"
                    .to_owned(),
                fix: format!("set {} to one of these: {allowed}", setting.key),
                evidence: vec![setting.evidence()],
            });
        }
    }
}

/// Whether a value is a word as attributes have them, and no expression.
fn is_word(value: &str) -> bool {
    value.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, nlb};

    #[test]
    fn ranges_are_those_of_elb() {
        for (value, expected) in [
            ("4001", Some(Severity::Error)),
            ("0", Some(Severity::Error)),
            ("-1", Some(Severity::Error)),
            ("4000", None),
            ("var.idle_timeout", None),
        ] {
            alb().lb("idle_timeout.timeout_seconds", value).expect(RULE.code, expected);
        }
        nlb().of_listener("tcp.idle_timeout.seconds", "30").expect(RULE.code, Some(Severity::Error));
    }

    #[test]
    fn words_are_those_of_elb() {
        for (value, expected) in [
            ("least-outstanding-requests", Some(Severity::Error)),
            ("least_outstanding_requests", None),
            ("local.algorithm", None),
        ] {
            alb().group("load_balancing.algorithm.type", value).expect(RULE.code, expected);
        }
    }
}

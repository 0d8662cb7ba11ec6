//! An attribute that exists for the other type of load balancer.
//!
//! ELB: "Load balancer attribute key '…' is not supported for load balancers
//! with type '…'".

use super::{Finding, Rule, Severity, System, attribute_out_of_range::every};
use crate::model::{
    LoadBalancerType::{Application, Network},
    attributes::{AttributeError, Resource, check as check_attribute, of},
};

pub(super) const RULE: Rule = Rule {
    code: "attribute-not-applicable",
    severity: Severity::Error,
    title: "an attribute of the other type of load balancer",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (subject, attributes) in every(system) {
        for (key, setting) in attributes.all_given() {
            // Tools write down what does not apply, as off.
            if matches!(setting.value.as_str(), "" | "false" | "0" | "off" | "null") {
                continue;
            }
            let checked = check_attribute(attributes.resource(), attributes.kind(), key, &setting.value);
            let Err(AttributeError::NotForType { kind, .. }) = checked else { continue };
            if is_default(key, attributes.resource(), &setting.value) {
                continue;
            }
            findings.push(Finding {
                code: RULE.code,
                severity: RULE.severity,
                subject: subject.clone(),
                problem: format!(
                    "{} is {}, but {subject} is of {kind} load balancers",
                    setting.key, setting.written
                ),
                symptom:
                    "ELB refuses the attribute, or a tool drops it in silence: what it was to do is not done"
                        .to_owned(),
                fix: format!("remove {}", setting.key),
                evidence: vec![setting.evidence()],
            });
        }
    }
}

/// Whether a value is what holds anyway where the attribute exists.
fn is_default(key: &str, resource: Resource, value: &str) -> bool {
    let mut rows = of(resource).filter(|row| row.key == key);
    rows.any(|row| row.default.of(Application) == value || row.default.of(Network) == value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, nlb};

    #[test]
    fn each_type_has_its_own() {
        nlb().lb("idle_timeout.timeout_seconds", "120").expect(RULE.code, Some(Severity::Error));
        alb().lb("idle_timeout.timeout_seconds", "120").expect(RULE.code, None);
        alb().group("proxy_protocol_v2.enabled", "true").expect(RULE.code, Some(Severity::Error));
        alb().of_listener("tcp.idle_timeout.seconds", "400").expect(RULE.code, Some(Severity::Error));
    }

    #[test]
    fn what_tools_write_down_for_both_is_passed_over() {
        nlb().lb("idle_timeout.timeout_seconds", "60").expect(RULE.code, None);
        alb().group("proxy_protocol_v2.enabled", "false").expect(RULE.code, None);
        nlb().group("load_balancing.algorithm.type", "round_robin").expect(RULE.code, None);
        alb().lb("unheard.of", "1").expect(RULE.code, None);
    }
}

//! Stickiness in a group that chooses targets by `weighted_random`.
//!
//! ELB: "You cannot have both stickiness and weighted random algorithm enabled
//! on the same target group".

use super::{Finding, Rule, Severity, System};

pub(super) const RULE: Rule = Rule {
    code: "stickiness-weighted-random",
    severity: Severity::Error,
    title: "stickiness together with the algorithm weighted_random",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for group in system.groups_of_albs() {
        let Some(sticky) = group.sticky() else { continue };
        let algorithm = group.attributes.text("load_balancing.algorithm.type");
        if algorithm.value != "weighted_random" {
            continue;
        }
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: group.title(),
            problem: format!(
                "{} is {}, but {} is weighted_random",
                sticky.key, sticky.written, algorithm.key
            ),
            symptom: "ELB refuses the change with InvalidConfigurationRequest; the deployment stops half way"
                .to_owned(),
            fix: format!("set {} to least_outstanding_requests or round_robin", algorithm.key),
            evidence: vec![algorithm.evidence(), sticky.evidence()],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::alb;

    #[test]
    fn the_algorithm_excludes_stickiness() {
        let random = || alb().group("load_balancing.algorithm.type", "weighted_random");
        random().group("stickiness.enabled", "true").expect(RULE.code, Some(Severity::Error));
        random().expect(RULE.code, None);
        alb().group("stickiness.enabled", "true").expect(RULE.code, None);
    }
}

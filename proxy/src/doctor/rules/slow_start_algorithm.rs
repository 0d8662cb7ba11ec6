//! Slow start with an algorithm that does not know it.
//!
//! ELB: "You cannot enable both slow start and least outstanding requests
//! algorithm on a target group"; the same goes for weighted random.

use super::{Finding, Rule, Severity, System};

pub(super) const RULE: Rule = Rule {
    code: "slow-start-algorithm",
    severity: Severity::Error,
    title: "slow start with another algorithm than round_robin",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for group in system.groups_of_albs() {
        let algorithm = group.attributes.text("load_balancing.algorithm.type");
        let Some(slow_start) = group.attributes.number("slow_start.duration_seconds") else { continue };
        let other = matches!(algorithm.value.as_str(), "least_outstanding_requests" | "weighted_random");
        if slow_start.value == 0 || !other {
            continue;
        }
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: group.title(),
            problem: format!(
                "{} is {}, but {} is {}",
                slow_start.key, slow_start.written, algorithm.key, algorithm.written
            ),
            symptom: "ELB refuses the change; a new target never gets its gentle start".to_owned(),
            fix: format!("set {} to 0, or {} to round_robin", slow_start.key, algorithm.key),
            evidence: vec![slow_start.evidence(), algorithm.evidence()],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::alb;

    #[test]
    fn only_round_robin_knows_it() {
        for (seconds, algorithm, expected) in [
            ("60", "least_outstanding_requests", Some(Severity::Error)),
            ("60", "weighted_random", Some(Severity::Error)),
            ("60", "round_robin", None),
            ("0", "least_outstanding_requests", None),
            ("60", "var.algorithm", None),
        ] {
            let system = alb().group("slow_start.duration_seconds", seconds);
            system.group("load_balancing.algorithm.type", algorithm).expect(RULE.code, expected);
        }
        alb().group("slow_start.duration_seconds", "60").expect(RULE.code, None);
    }
}

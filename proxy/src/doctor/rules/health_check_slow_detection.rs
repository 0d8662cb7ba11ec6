//! It takes minutes until a target that is down gets no more requests.

use std::time::Duration;

use super::{Finding, Rule, Severity, System};
use crate::doctor::setting::human;

/// Twice what ELB's defaults take (2 × 30 s).
const ACCEPTABLE: Duration = Duration::from_secs(120);

pub(super) const RULE: Rule = Rule {
    code: "health-check-slow-detection",
    severity: Severity::Warning,
    title: "it takes minutes until a target that is down is unhealthy",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for group in &system.target_groups {
        let check = &group.health_check;
        let (Some(interval), Some(threshold)) = (&check.interval, &check.unhealthy_threshold) else {
            continue;
        };
        let takes = interval.value.saturating_mul(threshold.value.min(100));
        if takes <= ACCEPTABLE {
            continue;
        }
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: group.title(),
            problem: format!(
                "a target is unhealthy after {} failed checks {} apart: {}",
                threshold.value,
                human(interval.value),
                human(takes)
            ),
            symptom: format!(
                "for {} a share of the requests goes to a target that is down: 502 or 504",
                human(takes)
            ),
            fix: format!("lower {}, such as to 10 s, or {}, such as to 3", interval.key, threshold.key),
            evidence: vec![interval.evidence(), threshold.evidence()],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, secs, set};

    #[test]
    fn two_minutes_are_enough() {
        for (interval, threshold, expected) in [
            (Some(300), Some(2), Some(Severity::Warning)),
            (Some(30), Some(10), Some(Severity::Warning)),
            (Some(30), Some(2), None),
            (Some(15), Some(3), None),
            (None, Some(10), None),
        ] {
            let system = alb().target_group(|group| {
                group.health_check.interval = interval.map(|seconds| secs("interval", seconds));
                group.health_check.unhealthy_threshold =
                    threshold.map(|count| set("unhealthy_threshold", count));
            });
            system.expect(RULE.code, expected);
        }
    }
}

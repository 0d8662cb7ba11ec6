//! A new task is replaced because it is unhealthy, before it had the time to
//! start that its own health check grants.
//!
//! ECS: the service scheduler ignores unhealthy targets for
//! `healthCheckGracePeriodSeconds` after a task has started, 0 s by default.

use std::time::Duration;

use super::{Finding, Rule, Severity, System};
use crate::doctor::setting::human;

pub(super) const RULE: Rule = Rule {
    code: "health-check-start-up",
    severity: Severity::Warning,
    title: "a new target is given up before it can be up",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (hop, application) in system.last_hops() {
        let startup = &application.startup;
        let (Some(start), Some(grace)) = (&startup.start_period, &startup.health_check_grace_period) else {
            continue;
        };
        let check = &hop.target_group.health_check;
        let (Some(interval), Some(threshold)) = (&check.interval, &check.unhealthy_threshold) else {
            continue;
        };
        let given_up = grace.value.max(interval.value.saturating_mul(threshold.value.min(100)));
        if given_up >= start.value {
            continue;
        }
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: application.title(),
            problem: format!(
                "{} may take {} to start, but counts as failed when it is unhealthy {} after its start",
                application.title(),
                human(start.value),
                human(given_up)
            ),
            symptom: "tasks are started and killed in circles: \"(service …) (task …) failed ELB health checks\"; a \
                      deployment never ends"
                .to_owned(),
            fix: format!(
                "set {} to {} or more",
                grace.key,
                grace.in_seconds(start.value.saturating_add(Duration::from_secs(30)))
            ),
            evidence: vec![grace.evidence(), start.evidence(), interval.evidence(), threshold.evidence()],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, secs, set};

    #[test]
    fn the_grace_period_must_cover_the_start() {
        for (start, grace, expected) in [
            (Some(60), Some(0), Some(Severity::Warning)),
            (Some(60), Some(90), None),
            (Some(40), Some(0), None),
            (None, Some(0), None),
            (Some(60), None, None),
        ] {
            let system = alb().target_group(|group| {
                group.health_check.interval = Some(secs("interval", 15));
                group.health_check.unhealthy_threshold = Some(set("unhealthy_threshold", 3));
            });
            let system = system.app(|app| {
                app.startup.start_period = start.map(|seconds| secs("startPeriod", seconds));
                app.startup.health_check_grace_period =
                    grace.map(|seconds| secs("health_check_grace_period_seconds", seconds));
            });
            system.expect(RULE.code, expected);
        }
    }
}

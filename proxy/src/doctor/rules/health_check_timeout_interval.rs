//! A health check may take longer than the time to the next one.
//!
//! ELB: "Health check timeout must be smaller than the interval".

use std::time::Duration;

use super::{Finding, Rule, Severity, System};
use crate::doctor::setting::human;

pub(super) const RULE: Rule = Rule {
    code: "health-check-timeout-interval",
    severity: Severity::Error,
    title: "the health check timeout is not shorter than the interval",
    check,
};

/// ELB's default for HTTP.
const USUAL: Duration = Duration::from_secs(5);

fn check(system: &System, findings: &mut Vec<Finding>) {
    for group in &system.target_groups {
        let check = &group.health_check;
        let (Some(timeout), Some(interval)) = (&check.timeout, &check.interval) else { continue };
        let tcp = check.protocol.as_ref().is_some_and(|protocol| protocol.value == "TCP");
        if tcp || timeout.value < interval.value {
            continue;
        }
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: group.title(),
            problem: format!(
                "a health check may take {}, but the next one is due after {}",
                human(timeout.value),
                human(interval.value)
            ),
            symptom: "ELB refuses it: \"Health check timeout must be smaller than the interval\"".to_owned(),
            fix: format!(
                "set {} to less than {}, such as {}",
                timeout.key,
                human(interval.value),
                timeout.in_seconds(USUAL.min(Duration::from_secs(interval.value.as_secs() / 2)))
            ),
            evidence: vec![timeout.evidence(), interval.evidence()],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, secs, set};

    #[test]
    fn a_check_must_be_over_before_the_next() {
        for (timeout, interval, protocol, expected) in [
            (30, 30, "HTTP", Some(Severity::Error)),
            (31, 30, "HTTPS", Some(Severity::Error)),
            (5, 30, "HTTP", None),
            (10, 10, "TCP", None),
        ] {
            let system = alb().target_group(|group| {
                group.health_check.timeout = Some(secs("timeout", timeout));
                group.health_check.interval = Some(secs("interval", interval));
                group.health_check.protocol = Some(set("protocol", protocol.to_owned()));
            });
            system.expect(RULE.code, expected);
        }
        alb().expect(RULE.code, None);
    }

    #[test]
    fn a_timeout_is_proposed_that_is_shorter() {
        for (interval, proposed) in [(5, "such as 2"), (30, "such as 5")] {
            let system = alb().target_group(|group| {
                group.health_check.timeout = Some(secs("timeout", interval));
                group.health_check.interval = Some(secs("interval", interval));
            });
            let fix = &system.findings(RULE.code)[0].fix;
            assert!(fix.trim_end_matches('s').ends_with(proposed), "{fix}");
        }
    }
}

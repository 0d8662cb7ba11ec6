//! The supervisor kills the process before the time it takes to end is over.
//!
//! ECS: `stopTimeout`, 30 s by default; Docker: `stop_grace_period`, 10 s;
//! Kubernetes: `terminationGracePeriodSeconds`, 30 s.

use std::time::Duration;

use super::{Finding, Rule, Severity, System};
use crate::doctor::setting::human;

pub(super) const RULE: Rule = Rule {
    code: "shutdown-grace-stop-timeout",
    severity: Severity::Warning,
    title: "the container is killed before its shutdown is over",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for application in &system.applications {
        let shutdown = &application.shutdown;
        let (Some(grace), Some(stop)) = (&shutdown.grace, &shutdown.stop_timeout) else { continue };
        let graceful = shutdown.graceful.as_ref().is_none_or(|graceful| graceful.value);
        if !graceful || grace.value <= stop.value {
            continue;
        }
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: application.title(),
            problem: format!(
                "{} may take {} to end, but is killed {} after SIGTERM",
                application.title(),
                human(grace.value),
                human(stop.value)
            ),
            symptom:
                "during deployments the last requests get 502 and the last WebSockets close code 1006; the \
                      container's exit code is 137"
                    .to_owned(),
            fix: format!(
                "set {} to more than {}, such as {}, or shorten {}",
                stop.key,
                human(grace.value),
                stop.in_seconds(grace.value.saturating_add(Duration::from_secs(10))),
                grace.key
            ),
            evidence: vec![stop.evidence(), grace.evidence()],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, secs, set};

    #[test]
    fn the_supervisor_must_wait_for_longer() {
        for (grace, stop, expected) in [
            (Some(30), Some(10), Some(Severity::Warning)),
            (Some(30), Some(30), None),
            (Some(30), Some(60), None),
            (Some(30), None, None),
            (None, Some(10), None),
        ] {
            let system = alb().app(|app| {
                app.shutdown.grace = grace.map(|grace| secs("timeout-per-shutdown-phase", grace));
                app.shutdown.stop_timeout = stop.map(|stop| secs("stopTimeout", stop));
            });
            system.expect(RULE.code, expected);
            system
                .app(|app| app.shutdown.graceful = Some(set("server.shutdown", false)))
                .expect(RULE.code, None);
        }
    }
}

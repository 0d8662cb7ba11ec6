//! The process ends at SIGTERM with requests in flight.
//!
//! ELB: a target that closes the connection of an outstanding request makes 502.

use super::{Finding, Rule, Severity, System};

pub(super) const RULE: Rule = Rule {
    code: "shutdown-not-graceful",
    severity: Severity::Warning,
    title: "the application drops requests when it is stopped",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (hop, application) in system.last_hops() {
        let Some(graceful) = application.shutdown.graceful.as_ref().filter(|graceful| !graceful.value) else {
            continue;
        };
        let delay = hop.target_group.attributes.seconds("deregistration_delay.timeout_seconds");
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: application.title(),
            problem: format!(
                "{} ends at once when it is stopped ({} is {}), while {} may still send it requests for seconds",
                application.title(),
                graceful.key,
                graceful.written,
                hop.load_balancer.title()
            ),
            symptom: "502, 503 or 504 during deployments, WebSockets end with close code 1006".to_owned(),
            fix: format!(
                "let it finish its requests at SIGTERM: {} to graceful, and wait some seconds before it stops to listen",
                graceful.key
            ),
            evidence: [Some(graceful.evidence()), delay.map(|delay| delay.evidence())].into_iter().flatten().collect(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, set};

    #[test]
    fn requests_must_be_let_end() {
        for (graceful, expected) in [(Some(false), Some(Severity::Warning)), (Some(true), None), (None, None)]
        {
            let graceful = graceful.map(|graceful| set("server.shutdown", graceful));
            alb().app(|app| app.shutdown.graceful = graceful).expect(RULE.code, expected);
        }
    }
}

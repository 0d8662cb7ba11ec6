//! A request may take longer than the load balancer waits for an answer.
//!
//! ELB: "The load balancer established a connection to the target but the
//! target did not respond before the idle timeout period elapsed" (HTTP 504).

use super::{Finding, Rule, Severity, System};
use crate::doctor::setting::human;

pub(super) const RULE: Rule = Rule {
    code: "request-longer-than-idle-timeout",
    severity: Severity::Warning,
    title: "requests may take longer than the idle timeout",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (hop, application) in system.last_hops().filter(|(hop, _)| hop.load_balancer.is_application()) {
        let (Some(request), Some(idle)) = (&application.longest_request, hop.idle_timeout()) else {
            continue;
        };
        if request.value < idle.value {
            continue;
        }
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: application.title(),
            problem: format!(
                "a request to {} may take {}, {} waits for {}",
                application.title(),
                human(request.value),
                hop.load_balancer.title(),
                human(idle.value)
            ),
            symptom: format!(
                "504 after {} for slow requests, which the application goes on with and ends without an error",
                human(idle.value)
            ),
            fix: format!(
                "set {} to less than {}, or {} to more than {}",
                request.key,
                human(idle.value),
                idle.key,
                human(request.value)
            ),
            evidence: vec![request.evidence(), idle.evidence()],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, secs};

    #[test]
    fn the_load_balancer_must_wait_longer() {
        for (request, idle, expected) in
            [(60, "60", Some(Severity::Warning)), (30, "60", None), (60, "120", None)]
        {
            let system = alb().lb("idle_timeout.timeout_seconds", idle);
            system
                .app(|app| app.longest_request = Some(secs("request-timeout", request)))
                .expect(RULE.code, expected);
        }
        alb().expect(RULE.code, None);
    }
}

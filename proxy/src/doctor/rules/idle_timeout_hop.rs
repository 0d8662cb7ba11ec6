//! A proxy between load balancer and application gives up sooner than the load
//! balancer, so that the load balancer's idle timeout is never reached.

use super::{Finding, Rule, Severity, System};
use crate::doctor::setting::human;

pub(super) const RULE: Rule = Rule {
    code: "idle-timeout-hop",
    severity: Severity::Warning,
    title: "a proxy before the application has a shorter idle timeout",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (hop, application) in system.last_hops() {
        let Some(idle) = hop.idle_timeout() else { continue };
        let Some(shortest) = application.hops.iter().min_by_key(|timeout| timeout.value) else { continue };
        if shortest.value >= idle.value || application.speaks_within(shortest.value) {
            continue;
        }
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: application.title(),
            problem: format!(
                "{} would wait for {}, a proxy before {} gives up after {}",
                hop.load_balancer.title(),
                human(idle.value),
                application.title(),
                human(shortest.value)
            ),
            symptom: format!(
                "quiet WebSockets end and slow requests fail after {}, however long the load balancer waits",
                human(shortest.value)
            ),
            fix: format!("set {} to more than {}", shortest.key, human(idle.value)),
            evidence: vec![shortest.evidence(), idle.evidence()],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, beat, secs};

    #[test]
    fn every_hop_must_wait_as_long() {
        let proxy = |seconds| {
            let raised = alb().lb("idle_timeout.timeout_seconds", "3600");
            raised.app(|app| app.hops = vec![secs("proxy_read_timeout", seconds)])
        };
        proxy(60).expect(RULE.code, Some(Severity::Warning));
        proxy(3600).expect(RULE.code, None);
        proxy(60).app(|app| app.heartbeats = vec![beat("WebSocket ping", 25)]).expect(RULE.code, None);
        alb().expect(RULE.code, None);
    }
}

//! The target closes idle connections before the load balancer does, so that
//! now and then a request meets a connection that is just being closed.
//!
//! ELB: "The target closed the connection with a TCP RST or a TCP FIN while the
//! load balancer had an outstanding request to the target" (HTTP 502).

use super::{Finding, Rule, Severity, System};
use crate::doctor::setting::human;

pub(super) const RULE: Rule = Rule {
    code: "keep-alive-race",
    severity: Severity::Error,
    title: "the target's keep-alive timeout is not longer than the idle timeout",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for hop in system.hops() {
        let (Some(application), true) = (hop.application, hop.load_balancer.is_application()) else {
            continue;
        };
        let Some(keep_alive) = &application.keep_alive_timeout else { continue };
        let Some(idle) = hop.load_balancer.attributes.seconds("idle_timeout.timeout_seconds") else {
            continue;
        };
        if keep_alive.value > idle.value {
            continue;
        }
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: hop.target_group.title(),
            problem: format!(
                "{} closes idle connections after {}, {} keeps them for {}",
                application.title(),
                human(keep_alive.value),
                hop.load_balancer.title(),
                human(idle.value)
            ),
            symptom:
                "sporadic 502 at low traffic; in the access log elb_status_code 502, target_status_code -, \
                      response_processing_time -1"
                    .to_owned(),
            fix: format!(
                "set {} to more than {}, such as {}",
                keep_alive.key,
                human(idle.value),
                human(idle.value + std::time::Duration::from_secs(10))
            ),
            evidence: vec![keep_alive.evidence(), idle.evidence()],
        });
    }
}

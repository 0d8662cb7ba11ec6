//! A Network Load Balancer forgets a connection that the Application Load
//! Balancer behind it would keep.

use super::{Finding, Rule, Severity, System};
use crate::doctor::setting::human;

pub(super) const RULE: Rule = Rule {
    code: "nlb-alb-idle",
    severity: Severity::Warning,
    title: "the Network Load Balancer in front has a shorter idle timeout",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for chain in system.chains() {
        let behind = chain.behind.attributes.seconds("idle_timeout.timeout_seconds");
        let (Some(front), Some(behind)) = (chain.front.idle_timeout(), behind) else { continue };
        let spoken =
            chain.front.application.is_some_and(|application| application.speaks_within(front.value));
        if front.value >= behind.value || spoken {
            continue;
        }
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: chain.front.load_balancer.title(),
            problem: format!(
                "{} keeps silent connections for {}, {} in front of it for {}",
                chain.behind.title(),
                human(behind.value),
                chain.front.load_balancer.title(),
                human(front.value)
            ),
            symptom: format!(
                "after {} of silence neither side is told; the next message on the connection gets RST",
                human(front.value)
            ),
            fix: format!(
                "set {} to at least {} (a TCP listener may have up to 6000), or lower {}",
                front.key,
                behind.value.as_secs(),
                behind.key
            ),
            evidence: vec![front.evidence(), behind.evidence()],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{beat, nlb_before_alb, set};

    #[test]
    fn the_front_must_wait_as_long() {
        let raised = || nlb_before_alb().lb("idle_timeout.timeout_seconds", "3600");
        raised().expect(RULE.code, Some(Severity::Warning));
        raised().app(|app| app.heartbeats = vec![beat("WebSocket ping", 25)]).expect(RULE.code, None);
        let both = raised().with(|system| {
            let listener = &mut system.load_balancers[1].listeners[0];
            listener
                .attributes
                .give("tcp.idle_timeout.seconds", set("tcp_idle_timeout_seconds", "3600".to_owned()));
        });
        both.expect(RULE.code, None);
        nlb_before_alb().expect(RULE.code, None);
    }
}

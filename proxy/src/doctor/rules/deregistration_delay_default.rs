//! Nobody set the deregistration delay, and requests are much shorter.
//!
//! ELB: "By default, Elastic Load Balancing waits 300 seconds before it
//! completes the deregistration process".

use std::time::Duration;

use super::{Finding, Rule, Severity, System};
use crate::doctor::setting::human;

pub(super) const RULE: Rule = Rule {
    code: "deregistration-delay-default",
    severity: Severity::Info,
    title: "deployments wait for the default deregistration delay",
    check,
};

/// How much longer than the longest request the delay must be to be worth a word.
const TIMES: u32 = 4;

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (hop, application) in system.last_hops() {
        let attributes = &hop.target_group.attributes;
        let (Some(delay), Some(request)) =
            (attributes.seconds("deregistration_delay.timeout_seconds"), &application.longest_request)
        else {
            continue;
        };
        let short =
            request.value.saturating_mul(TIMES) <= delay.value && application.long_connections().is_none();
        if delay.place.is_file() || !short {
            continue;
        }
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: hop.target_group.title(),
            problem: format!(
                "a deregistered target is kept for {}, though no request takes longer than {}",
                human(delay.value),
                human(request.value)
            ),
            symptom:
                "each step of a rolling deployment takes five minutes; targets stay in the state draining"
                    .to_owned(),
            fix: format!(
                "set {} to {}",
                delay.key,
                delay.in_seconds(request.value.saturating_add(Duration::from_secs(5)))
            ),
            evidence: vec![delay.evidence(), request.evidence()],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, secs, socket_io};

    #[test]
    fn short_requests_need_no_five_minutes() {
        let short = || alb().app(|app| app.longest_request = Some(secs("request-timeout", 30)));
        short().expect(RULE.code, Some(Severity::Info));
        short().group("deregistration_delay.timeout_seconds", "35").expect(RULE.code, None);
        short().app(|app| app.socket_io = socket_io(25, 20)).expect(RULE.code, None);
        alb().app(|app| app.longest_request = Some(secs("request-timeout", 120))).expect(RULE.code, None);
        alb().expect(RULE.code, None);
    }
}

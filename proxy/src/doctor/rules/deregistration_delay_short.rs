//! Requests last longer than a deregistered target may take to end them.
//!
//! ELB: "The target is deregistering and requests did not complete before the
//! deregistration delay" (HTTP 502).

use std::time::Duration;

use super::{Finding, Rule, Severity, System};
use crate::doctor::setting::human;

pub(super) const RULE: Rule = Rule {
    code: "deregistration-delay-short",
    severity: Severity::Warning,
    title: "the deregistration delay cuts requests",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (hop, application) in system.last_hops() {
        let Some(delay) = hop.target_group.attributes.seconds("deregistration_delay.timeout_seconds") else {
            continue;
        };
        // Flows of a Network Load Balancer go on after the delay.
        if !hop.load_balancer.is_application() {
            continue;
        }
        let longer = |severity, what, setting| (severity, what, setting);
        let request = application.longest_request.as_ref();
        let grace = application.shutdown.grace.as_ref();
        let request = request.map(|request| longer(Severity::Warning, "a request may take", request));
        let grace =
            grace.map(|grace| longer(Severity::Info, "the application takes its time to end, up to", grace));
        let cut = [request, grace].into_iter().flatten().find(|(_, _, setting)| setting.value > delay.value);
        let Some((severity, what, setting)) = cut else { continue };
        findings.push(Finding {
            code: RULE.code,
            severity,
            subject: hop.target_group.title(),
            problem: format!(
                "connections to a deregistered target are cut after {}, but {what} {}",
                human(delay.value),
                human(setting.value)
            ),
            symptom: "502 or a truncated answer for long requests at each deployment; WebSockets end with close code \
                      1006"
                .to_owned(),
            fix: format!(
                "set {} to {} or more",
                delay.key,
                delay.in_seconds(setting.value.saturating_add(Duration::from_secs(1)))
            ),
            evidence: vec![delay.evidence(), setting.evidence()],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, nlb, secs};

    #[test]
    fn the_delay_must_last_as_long_as_a_request() {
        let long = |app: &mut crate::doctor::system::Application| {
            app.longest_request = Some(secs("spring.mvc.async.request-timeout", 60));
        };
        let delay = |seconds| alb().group("deregistration_delay.timeout_seconds", seconds);
        delay("30").app(long).expect(RULE.code, Some(Severity::Warning));
        delay("60").app(long).expect(RULE.code, None);
        delay("30").expect(RULE.code, None);
        alb().app(long).expect(RULE.code, None);
        nlb().group("deregistration_delay.timeout_seconds", "30").app(long).expect(RULE.code, None);
    }

    #[test]
    fn a_longer_shutdown_is_worth_knowing() {
        let system = alb().group("deregistration_delay.timeout_seconds", "10");
        let system = system.app(|app| app.shutdown.grace = Some(secs("grace", 30)));
        system.expect(RULE.code, Some(Severity::Info));
    }
}

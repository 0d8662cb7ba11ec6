//! Long connections are spread by an algorithm that does not count them.
//!
//! ELB: `round_robin` takes targets in turn; `least_outstanding_requests` takes
//! the one with the fewest requests in progress.

use super::{Finding, Rule, Severity, System};

pub(super) const RULE: Rule = Rule {
    code: "round-robin-long-connections",
    severity: Severity::Info,
    title: "long connections are spread by round_robin",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (hop, application) in system.last_hops().filter(|(hop, _)| hop.load_balancer.is_application()) {
        let algorithm = hop.target_group.attributes.text("load_balancing.algorithm.type");
        let (Some(long), "round_robin") = (application.long_connections(), algorithm.value.as_str()) else {
            continue;
        };
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: hop.target_group.title(),
            problem: format!(
                "{} is round_robin, and clients of {} keep connections for long",
                algorithm.key,
                application.title()
            ),
            symptom: "after scaling out or a deployment the new target has few connections, the old ones keep theirs"
                .to_owned(),
            fix: format!(
                "set {} to least_outstanding_requests, and close connections now and then at a random age",
                algorithm.key
            ),
            evidence: vec![algorithm.evidence(), long],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, socket_io};

    #[test]
    fn counting_requests_counts_connections() {
        let sockets = || alb().app(|app| app.socket_io = socket_io(25, 20));
        sockets().expect(RULE.code, Some(Severity::Info));
        sockets()
            .group("load_balancing.algorithm.type", "least_outstanding_requests")
            .expect(RULE.code, None);
        alb().expect(RULE.code, None);
    }
}

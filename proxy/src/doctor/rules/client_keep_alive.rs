//! Connections of clients end before the idle timeout could.
//!
//! ELB: `client_keep_alive.seconds` counts from the beginning of a connection
//! and is never reset; WebSockets that are open are not touched by it.

use super::{Finding, Rule, Severity, System};
use crate::doctor::setting::human;

pub(super) const RULE: Rule = Rule {
    code: "client-keep-alive",
    severity: Severity::Info,
    title: "client connections end before the idle timeout",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for of in system.load_balancers.iter().filter(|of| of.is_application()) {
        let (Some(life), Some(idle)) = (
            of.attributes.seconds("client_keep_alive.seconds"),
            of.attributes.seconds("idle_timeout.timeout_seconds"),
        ) else {
            continue;
        };
        if life.value >= idle.value {
            continue;
        }
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: of.title(),
            problem: format!(
                "a client's connection lives for {}, and may be silent for {}",
                human(life.value),
                human(idle.value)
            ),
            symptom: "clients of HTTP see Connection: close or GOAWAY and connect anew, however long the idle timeout is"
                .to_owned(),
            fix: format!("set {} to at least {}", life.key, idle.value.as_secs()),
            evidence: vec![life.evidence(), idle.evidence()],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::alb;

    #[test]
    fn a_connection_should_outlive_its_silence() {
        for (life, idle, expected) in
            [("60", "120", Some(Severity::Info)), ("3600", "3600", None), ("3600", "60", None)]
        {
            let system = alb().lb("client_keep_alive.seconds", life).lb("idle_timeout.timeout_seconds", idle);
            system.expect(RULE.code, expected);
        }
        alb().expect(RULE.code, None);
        alb().lb("idle_timeout.timeout_seconds", "4000").expect(RULE.code, Some(Severity::Info));
    }
}

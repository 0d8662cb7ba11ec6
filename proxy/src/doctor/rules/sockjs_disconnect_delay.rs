//! SockJS forgets sessions sooner than a slow client polls again.

use std::time::Duration;

use super::{Finding, Rule, Severity, System};
use crate::doctor::setting::human;

/// Two round trips on a bad mobile connection, a TLS handshake included.
const SHORTEST: Duration = Duration::from_secs(2);

/// SockJS's own.
const DEFAULT: Duration = Duration::from_secs(5);

pub(super) const RULE: Rule = Rule {
    code: "sockjs-disconnect-delay",
    severity: Severity::Warning,
    title: "SockJS forgets sessions between two polls",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for application in
        system.applications.iter().filter(|application| application.sock_js_enabled().is_some())
    {
        let delay = application.sock_js.as_ref().and_then(|sock_js| sock_js.disconnect_delay.as_ref());
        let Some(delay) = delay.filter(|delay| delay.value < SHORTEST) else { continue };
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: application.title(),
            problem: format!(
                "SockJS forgets a session {} after its last connection, and clients with bad networks need {} to poll again",
                human(delay.value),
                human(SHORTEST)
            ),
            symptom: "404 for xhr_send and a new session on slow networks; nothing of it in the office".to_owned(),
            fix: format!("set {} to {} or more", delay.key, delay.in_its_unit(DEFAULT)),
            evidence: vec![delay.evidence()],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, sock_js};

    #[test]
    fn a_client_needs_time_to_poll_again() {
        for (delay, expected) in [(1, Some(Severity::Warning)), (5, None), (30, None)] {
            alb().app(|app| app.sock_js = sock_js(delay)).expect(RULE.code, expected);
        }
        alb().expect(RULE.code, None);
    }
}

//! The application takes smaller request heads than the load balancer passes on.
//!
//! ELB: a request line and each header may have 16 KB, all headers together
//! 64 KB. Cookies of stickiness (AWSALB and AWSALBCORS, some 150 bytes each),
//! tokens and headers about the client count.

use super::{Finding, Rule, Severity, System};
use crate::doctor::{
    setting::Evidence,
    system::{self, Action, Hop},
};

/// A single header that the load balancer lets through.
const ONE_HEADER: u64 = 16 * 1024;
/// All headers of a request.
const ALL_HEADERS: u64 = 64 * 1024;

pub(super) const RULE: Rule = Rule {
    code: "header-limit",
    severity: Severity::Warning,
    title: "the application takes smaller request headers than the load balancer",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (hop, application) in system.last_hops().filter(|(hop, _)| hop.load_balancer.is_application()) {
        let Some(limit) = &application.max_request_header_size else { continue };
        let login = login(&hop);
        let (severity, problem, fix) = if limit.value > ALL_HEADERS {
            let problem = format!(
                "{} takes {} bytes of request headers, of which {} passes on no more than 64 KB",
                application.title(),
                limit.value,
                hop.load_balancer.title()
            );
            (Severity::Info, problem, format!("{} need not be more than 64 KB", limit.key))
        } else if limit.value < ONE_HEADER {
            let added = if login.is_some() { ", and adds x-amzn-oidc-* of several KB to each" } else { "" };
            let problem = format!(
                "{} takes {} bytes of request headers, {} passes on headers of 16 KB each and 64 KB together{added}",
                application.title(),
                limit.value,
                hop.load_balancer.title()
            );
            let severity = if login.is_some() { Severity::Warning } else { Severity::Info };
            (
                severity,
                problem,
                format!("set {} to 16 KB or more, or keep cookies and tokens small", limit.key),
            )
        } else {
            continue;
        };
        findings.push(Finding {
            code: RULE.code,
            severity,
            subject: application.title(),
            problem,
            symptom: "400 or 431 for some users only, those with many cookies or a large token; target_status_code in the \
                      access log is the same, the application's log often has nothing"
                .to_owned(),
            fix,
            evidence: [Some(limit.evidence()), login].into_iter().flatten().collect(),
        });
    }
}

/// The login of a rule that leads to the hop's target group.
fn login(hop: &Hop<'_>) -> Option<Evidence> {
    let leads_here = |rule: &&system::Rule| {
        rule.forwards().any(|(groups, _)| {
            groups.iter().any(|group| group.target_group.value == hop.target_group.name.value)
        })
    };
    hop.listener.rules.iter().filter(leads_here).flat_map(|rule| &rule.actions).find_map(
        |action| match action {
            Action::Authenticate(what) if what.value.starts_with("authenticate") => Some(what.evidence()),
            _ => None,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{Given, alb, forward, set};

    fn limit(bytes: u64) -> Given {
        alb().app(|app| app.max_request_header_size = Some(set("server.max-http-request-header-size", bytes)))
    }

    #[test]
    fn a_header_of_the_load_balancer_must_fit() {
        for (bytes, expected) in
            [(8192, Some(Severity::Info)), (16384, None), (65536, None), (131_072, Some(Severity::Info))]
        {
            limit(bytes).expect(RULE.code, expected);
        }
        alb().expect(RULE.code, None);
    }

    #[test]
    fn a_login_of_the_load_balancer_makes_it_worse() {
        let login = Action::Authenticate(set("actions.type", "authenticate-oidc".to_owned()));
        let login = |listener: &mut system::Listener| {
            listener.rules[0].actions = vec![login.clone(), forward(&[("web", 1)])];
        };
        limit(8192).listener(login).expect(RULE.code, Some(Severity::Warning));
        limit(32768).listener(login).expect(RULE.code, None);
    }
}

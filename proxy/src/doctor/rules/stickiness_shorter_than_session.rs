//! Stickiness ends before the session does: the next request finds another
//! target, which does not know it.
//!
//! ELB: the duration of a cookie begins anew with each response.

use std::time::Duration;

use super::{Finding, Rule, Severity, System};
use crate::doctor::{
    path::Carrier,
    setting::{Setting, human},
    system::{Application, TargetGroup},
};

pub(super) const RULE: Rule = Rule {
    code: "stickiness-shorter-than-session",
    severity: Severity::Error,
    title: "stickiness ends before the sessions that need it",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (hop, application) in system.last_hops() {
        let Some(duration) = duration(hop.target_group) else { continue };
        let Some((severity, what, session)) = outlived(application, duration.value) else { continue };
        findings.push(Finding {
            code: RULE.code,
            severity,
            subject: hop.target_group.title(),
            problem: format!(
                "a client stays with its target for {} after a response, but {what} {}",
                human(duration.value),
                human(session.value)
            ),
            symptom: match severity {
                Severity::Error => {
                    "polls move to a target that does not know the session: 400 \"Session ID unknown\" \
                                    of Socket.IO, 404 of SockJS"
                        .to_owned()
                }
                _ => "users who pause are logged out, though their session still lives on another target"
                    .to_owned(),
            },
            fix: format!("set {} to more than {}, such as 86400", duration.key, human(session.value)),
            evidence: vec![duration.evidence(), session.evidence()],
        });
    }
}

/// How long the cookies of a group hold, if it has any.
fn duration(group: &TargetGroup) -> Option<Setting<Duration>> {
    if !group.attributes.flag("stickiness.enabled")?.value {
        return None;
    }
    match group.attributes.text("stickiness.type").value.as_str() {
        "lb_cookie" => group.attributes.seconds("stickiness.lb_cookie.duration_seconds"),
        "app_cookie" => group.attributes.seconds("stickiness.app_cookie.duration_seconds"),
        _ => None,
    }
}

/// The silence of a client that an application allows and a cookie does not survive.
fn outlived(
    application: &Application,
    duration: Duration,
) -> Option<(Severity, &'static str, Setting<Duration>)> {
    let longer = |setting: &&Setting<Duration>| setting.value >= duration;
    let polls = application.socket_io.as_ref().filter(|io| io.polling.value).map(|io| &io.ping_interval);
    let sock_js = || {
        application.sock_js_enabled()?;
        Some(&application.shortest_heartbeat(|carrier| carrier == Carrier::SockJs)?.interval)
    };
    if let Some(poll) = polls.or_else(sock_js).filter(longer) {
        return Some((Severity::Error, "a poll without news is answered after", poll.clone()));
    }
    application.sessions.as_ref()?;
    let timeout = application.session_timeout.as_ref().filter(longer)?;
    Some((Severity::Warning, "its session lives in the target's memory for", timeout.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{Given, alb, secs, set, socket_io};

    fn sticky(seconds: &str) -> Given {
        alb().group("stickiness.enabled", "true").group("stickiness.lb_cookie.duration_seconds", seconds)
    }

    #[test]
    fn the_cookie_must_outlive_the_session() {
        let sessions = |app: &mut Application| {
            app.sessions = Some(set("spring.session.store-type", "none".to_owned()));
            app.session_timeout = Some(secs("server.servlet.session.timeout", 1800));
        };
        sticky("600").app(sessions).expect(RULE.code, Some(Severity::Warning));
        sticky("86400").app(sessions).expect(RULE.code, None);
        alb().app(sessions).expect(RULE.code, None);
        sticky("600").expect(RULE.code, None);
        sticky("600").app(|app| app.session_timeout = Some(secs("timeout", 1800))).expect(RULE.code, None);
    }

    #[test]
    fn the_cookie_must_outlive_a_waiting_poll() {
        let polls = |app: &mut Application| app.socket_io = socket_io(25, 20);
        sticky("20").app(polls).expect(RULE.code, Some(Severity::Error));
        sticky("60").app(polls).expect(RULE.code, None);
    }
}

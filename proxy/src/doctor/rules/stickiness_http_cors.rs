//! Pages of other origins lose the cookie of stickiness, since it needs HTTPS.
//!
//! ELB: AWSALBCORS has `SameSite=None; Secure` on HTTPS only; browsers drop
//! `SameSite=None` without `Secure`.

use super::{Finding, Rule, Severity, System};
use crate::doctor::{
    setting::{Evidence, Setting},
    system::{Application, Listener, TargetGroup},
};

pub(super) const RULE: Rule = Rule {
    code: "stickiness-http-cors",
    severity: Severity::Info,
    title: "stickiness for pages of other origins without HTTPS",
    check,
};

const ALLOW_ORIGIN: &str = "routing.http.response.access_control_allow_origin.header_value";

fn check(system: &System, findings: &mut Vec<Finding>) {
    for group in system.groups_of_albs() {
        let Some(sticky) = group.sticky() else { continue };
        let listeners: Vec<&Listener> = system
            .listeners()
            .map(|(_, listener)| listener)
            .filter(|listener| system.groups_of(listener).iter().any(|other| std::ptr::eq(*other, group)))
            .collect();
        let [first, ..] = listeners.as_slice() else { continue };
        let plain = listeners.iter().all(|listener| listener.protocol.value == "HTTP");
        let (true, Some(why)) = (plain, other_origins(system, group, &listeners)) else { continue };
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: group.title(),
            problem: format!(
                "{} is {}, pages of other origins are expected ({}), and clients come over HTTP only",
                sticky.key, sticky.written, why.key
            ),
            symptom: "browsers drop AWSALBCORS; pages of another origin reach any target, those of the same origin do not"
                .to_owned(),
            fix: "serve the group by an HTTPS listener, with credentials allowed on both sides".to_owned(),
            evidence: vec![first.protocol.evidence(), sticky.evidence(), why],
        });
    }
}

/// What says that pages of other origins use a group.
fn other_origins(system: &System, group: &TargetGroup, listeners: &[&Listener]) -> Option<Evidence> {
    let header = listeners.iter().find_map(|listener| listener.attributes.given(ALLOW_ORIGIN));
    let polling = || system.applications_of(group).into_iter().find_map(Application::polling);
    header
        .filter(|header| !header.value.is_empty())
        .map(Setting::evidence)
        .or_else(|| polling().map(|polling| polling.evidence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{Given, alb, set, socket_io};

    fn plain(given: Given) -> Given {
        given.listener(|listener| listener.protocol = set("protocol", "HTTP".to_owned()))
    }

    #[test]
    fn cookies_of_other_origins_need_https() {
        let open =
            || alb().group("stickiness.enabled", "true").of_listener(ALLOW_ORIGIN, "https://app.example.com");
        plain(open()).expect(RULE.code, Some(Severity::Info));
        open().expect(RULE.code, None);
        plain(alb().group("stickiness.enabled", "true")).expect(RULE.code, None);
        let polling = alb().group("stickiness.enabled", "true").app(|app| app.socket_io = socket_io(25, 20));
        plain(polling).expect(RULE.code, Some(Severity::Info));
    }
}

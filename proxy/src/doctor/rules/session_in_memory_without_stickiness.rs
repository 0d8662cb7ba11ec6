//! Sessions live in the memory of one process, and clients do not stay with it.

use super::{Finding, Rule, Severity, System};
use crate::doctor::path::Instances;

pub(super) const RULE: Rule = Rule {
    code: "session-in-memory-without-stickiness",
    severity: Severity::Error,
    title: "sessions in memory over several targets without stickiness",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (hop, application) in system.last_hops() {
        let (Some(sessions), Some(sticky)) =
            (&application.sessions, hop.target_group.attributes.flag("stickiness.enabled"))
        else {
            continue;
        };
        if sticky.value {
            continue;
        }
        let (severity, count) = match hop.instances() {
            Instances::One => continue,
            // A default says where sessions would be, not that there are any.
            _ if !sessions.place.is_file() => (Severity::Info, None),
            Instances::Several(count) => (Severity::Error, Some(count)),
            Instances::Unknown => (Severity::Warning, None),
        };
        findings.push(Finding {
            code: RULE.code,
            severity,
            subject: hop.target_group.title(),
            problem: format!(
                "{} keeps sessions in its memory ({} is {}), and {} is {}",
                application.title(),
                sessions.key,
                sessions.written,
                sticky.key,
                sticky.written
            ),
            symptom: "users are logged out at random, carts are empty, CSRF tokens do not fit; with one target all \
                      is well"
                .to_owned(),
            fix: format!("keep sessions in a store that all instances share, or set {} to true", sticky.key),
            evidence: [sticky.evidence(), sessions.evidence()].into_iter().chain(count).collect(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{
        rules::tests::build::{alb, set},
        setting::Setting,
    };

    #[test]
    fn stickiness_or_a_single_target_cures_it() {
        let system =
            || alb().app(|app| app.sessions = Some(set("spring.session.store-type", "none".to_owned())));
        system().expect(RULE.code, Some(Severity::Error));
        system().group("stickiness.enabled", "true").expect(RULE.code, None);
        system().target_group(|group| group.targets = None).expect(RULE.code, Some(Severity::Warning));
        system().target_group(|group| group.targets = Some(set("targets", 1))).expect(RULE.code, None);
        alb().expect(RULE.code, None);
    }

    #[test]
    fn a_default_is_only_worth_knowing() {
        let default = Setting::default_of("Tomcat", "memory".to_owned(), "session store", "memory");
        alb().app(|app| app.sessions = Some(default)).expect(RULE.code, Some(Severity::Info));
    }
}

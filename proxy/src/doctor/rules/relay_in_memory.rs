//! Messages reach only the clients of the instance they were sent to.

use super::{Finding, Rule, Severity, System};
use crate::doctor::path::Instances;

pub(super) const RULE: Rule = Rule {
    code: "relay-in-memory",
    severity: Severity::Error,
    title: "several instances, and messages stay within each",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (hop, application) in system.last_hops() {
        let Some(relay) = &application.relay else { continue };
        let alone = matches!(
            relay.value.to_ascii_lowercase().as_str(),
            "memory" | "in-memory" | "inmemory" | "simple" | "local" | "none"
        );
        let (true, Instances::Several(count)) = (alone, hop.instances()) else { continue };
        findings.push(Finding {
            code: RULE.code,
            severity: if relay.place.is_file() { RULE.severity } else { Severity::Warning },
            subject: application.title(),
            problem: format!(
                "{} hands messages on within each instance ({} is {}), and there are {} of them",
                application.title(),
                relay.key,
                relay.written,
                count.written
            ),
            symptom: "users on different instances do not hear each other; some messages arrive for some users, after \
                      each reconnect for others"
                .to_owned(),
            fix: format!("set {} to redis, or to another broker that all instances share", relay.key),
            evidence: vec![relay.evidence(), count],
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
    fn several_instances_need_a_common_broker() {
        for (relay, targets, expected) in [
            ("memory", Some(2), Some(Severity::Error)),
            ("simple", Some(2), Some(Severity::Error)),
            ("redis", Some(2), None),
            ("memory", Some(1), None),
            ("memory", None, None),
        ] {
            let system =
                alb().target_group(|group| group.targets = targets.map(|count| set("targets", count)));
            system
                .app(|app| app.relay = Some(set("relay.mode", relay.to_owned())))
                .expect(RULE.code, expected);
        }
        alb().expect(RULE.code, None);
    }

    #[test]
    fn a_default_may_not_be_what_is_meant() {
        let default = Setting::default_of("albeit-backend", "memory".to_owned(), "relay.mode", "memory");
        alb().app(|app| app.relay = Some(default)).expect(RULE.code, Some(Severity::Warning));
    }
}

//! Stickiness by an application's cookie in a rule with several target groups.
//!
//! ELB: application-based stickiness is not supported with weighted target groups.

use super::{Finding, Rule, Severity, System};

pub(super) const RULE: Rule = Rule {
    code: "app-cookie-weighted-forward",
    severity: Severity::Error,
    title: "app_cookie stickiness in a rule with several target groups",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (of, listener) in system.listeners().filter(|(of, _)| of.is_application()) {
        for rule in &listener.rules {
            for (groups, _) in rule.forwards().filter(|(groups, _)| groups.len() > 1) {
                let members =
                    groups.iter().filter_map(|group| system.target_group(&group.target_group.value));
                for group in members {
                    let kind = group.attributes.text("stickiness.type");
                    let (Some(sticky), "app_cookie") = (group.sticky(), kind.value.as_str()) else {
                        continue;
                    };
                    findings.push(Finding {
                        code: RULE.code,
                        severity: RULE.severity,
                        subject: group.title(),
                        problem: format!(
                            "{} of {} is app_cookie, but {} spreads over {} target groups",
                            kind.key,
                            group.title(),
                            rule.title(listener, of),
                            groups.len()
                        ),
                        symptom: "clients change between the groups and lose their sessions, cookie or not"
                            .to_owned(),
                        fix: format!(
                            "set {} to lb_cookie, and turn the forward action's stickiness on",
                            kind.key
                        ),
                        evidence: vec![kind.evidence(), sticky.evidence()],
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{Given, alb, forward};

    #[test]
    fn weights_need_the_cookie_of_the_load_balancer() {
        let two = |given: Given| given.green().default_action(forward(&[("web", 1), ("green", 1)]));
        let app_cookie = || alb().group("stickiness.enabled", "true").group("stickiness.type", "app_cookie");
        two(app_cookie()).expect(RULE.code, Some(Severity::Error));
        app_cookie().expect(RULE.code, None);
        two(alb().group("stickiness.enabled", "true")).expect(RULE.code, None);
    }
}

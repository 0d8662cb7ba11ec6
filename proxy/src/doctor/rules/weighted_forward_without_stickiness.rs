//! A rule spreads clients over several target groups again with each request,
//! though they are to stay with a target of one.
//!
//! ELB: if a target group is sticky, stickiness of the rule's groups should be
//! on, too.

use super::{Finding, Rule, Severity, System};
use crate::doctor::{
    setting::{Evidence, Setting},
    system::{TargetGroup, WeightedTargetGroup},
};

pub(super) const RULE: Rule = Rule {
    code: "weighted-forward-without-stickiness",
    severity: Severity::Error,
    title: "several target groups with sessions, and nothing keeps clients with one",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (of, listener) in system.listeners().filter(|(of, _)| of.is_application()) {
        for rule in &listener.rules {
            for (groups, stickiness) in rule.forwards() {
                let used = in_use(groups);
                let is_sticky = stickiness.is_some_and(|sticky| sticky.value);
                let found = || {
                    used.iter().find_map(|used| needs(system, system.target_group(&used.target_group.value)?))
                };
                let (false, [first, _, ..]) = (is_sticky, used.as_slice()) else { continue };
                let Some((why, because)) = found() else { continue };
                findings.push(Finding {
                    code: RULE.code,
                    severity: RULE.severity,
                    subject: rule.title(listener, of),
                    problem: format!(
                        "{} chooses among {} target groups for each request anew, but {why}",
                        rule.title(listener, of),
                        used.len()
                    ),
                    symptom: "the cookie of one group means nothing in another: sessions break as often as the \
                              weights say, with Session ID unknown, logouts, mixed versions of assets"
                        .to_owned(),
                    fix: "turn the stickiness of the forward action on (TargetGroupStickinessConfig), for as long as \
                          a session lasts"
                        .to_owned(),
                    evidence: [stickiness.map_or_else(|| first.target_group.evidence(), Setting::evidence), because]
                        .into_iter()
                        .collect(),
                });
            }
        }
    }
}

/// The groups that get traffic.
fn in_use(groups: &[WeightedTargetGroup]) -> Vec<&WeightedTargetGroup> {
    groups.iter().filter(|group| group.weight.as_ref().is_none_or(|weight| weight.value > 0)).collect()
}

/// Why the clients of a group are to stay with it.
fn needs(system: &System, group: &TargetGroup) -> Option<(String, Evidence)> {
    if let Some(sticky) = group.sticky() {
        return Some((format!("{} is sticky", group.title()), sticky.evidence()));
    }
    system.applications_of(group).into_iter().find_map(|application| {
        let polling = application.polling();
        let polling = polling.map(|it| (format!("{} offers {}", application.title(), it.what), it.evidence));
        let kept = application.sessions.as_ref().filter(|sessions| sessions.place.is_file());
        let sessions =
            kept.map(|it| (format!("{} keeps sessions in its memory", application.title()), it.evidence()));
        polling.or(sessions)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{
        rules::tests::build::{Given, alb, forward, set, socket_io},
        system::Action,
    };

    fn weighted(weights: [u32; 2], stickiness: Option<bool>) -> Given {
        let Action::Forward { target_groups, .. } = forward(&[("web", weights[0]), ("green", weights[1])])
        else {
            unreachable!()
        };
        let stickiness = stickiness.map(|on| set("target_group_stickiness_config.enabled", on));
        alb().green().default_action(Action::Forward { target_groups, stickiness })
    }

    #[test]
    fn sticky_groups_need_a_sticky_rule() {
        let sticky = |given: Given| given.group("stickiness.enabled", "true");
        sticky(weighted([90, 10], None)).expect(RULE.code, Some(Severity::Error));
        sticky(weighted([90, 10], Some(false))).expect(RULE.code, Some(Severity::Error));
        sticky(weighted([90, 10], Some(true))).expect(RULE.code, None);
        sticky(weighted([100, 0], None)).expect(RULE.code, None);
        weighted([90, 10], None).expect(RULE.code, None);
    }

    #[test]
    fn polling_needs_one_as_well() {
        let system = weighted([50, 50], None).app(|app| app.socket_io = socket_io(25, 20));
        system.expect(RULE.code, Some(Severity::Error));
    }
}

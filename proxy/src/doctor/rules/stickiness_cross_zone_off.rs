//! Stickiness in a group whose cross-zone load balancing is off.
//!
//! ELB: with cross-zone load balancing off for a target group, stickiness is
//! not supported.

use super::{Finding, Rule, Severity, System};

pub(super) const RULE: Rule = Rule {
    code: "stickiness-cross-zone-off",
    severity: Severity::Error,
    title: "stickiness while cross-zone load balancing of the group is off",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for group in system.groups_of_albs() {
        let Some(sticky) = group.sticky() else { continue };
        let cross_zone = group.attributes.text("load_balancing.cross_zone.enabled");
        if cross_zone.value != "false" {
            continue;
        }
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: group.title(),
            problem: format!("{} is {}, but {} is false", sticky.key, sticky.written, cross_zone.key),
            symptom: "ELB refuses the combination; where it slipped through, a client whose next connection enters in \
                      another zone cannot reach its target and begins a new session"
                .to_owned(),
            fix: format!("set {} to true or use_load_balancer_configuration", cross_zone.key),
            evidence: vec![cross_zone.evidence(), sticky.evidence()],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::alb;

    #[test]
    fn cookies_need_the_targets_of_all_zones() {
        let off = || alb().group("load_balancing.cross_zone.enabled", "false");
        off().group("stickiness.enabled", "true").expect(RULE.code, Some(Severity::Error));
        off().expect(RULE.code, None);
        alb().group("stickiness.enabled", "true").expect(RULE.code, None);
    }
}

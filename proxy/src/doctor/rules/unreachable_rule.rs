//! A rule that is never reached, because one before it takes all its requests.
//!
//! ELB: rules are tried from the lowest priority number to the highest; the
//! first whose conditions all hold decides.

use ipnet::IpNet;

use super::{Finding, Rule, Severity, System};
use crate::{
    doctor::system::{Condition, ConditionField, Rule as ListenerRule},
    rules::wildcard::{Case, Pattern},
};

pub(super) const RULE: Rule =
    Rule { code: "unreachable-rule", severity: Severity::Error, title: "a rule is never reached", check };

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (of, listener) in system.listeners() {
        for (number, rule) in listener.rules.iter().enumerate() {
            // That nothing is left for the default rule may be on purpose.
            if rule.priority.value.is_none() {
                continue;
            }
            let earlier = listener.rules.get(..number).unwrap_or_default();
            let Some(wider) = earlier.iter().find(|earlier| takes_all_of(earlier, rule)) else { continue };
            findings.push(Finding {
                code: RULE.code,
                severity: RULE.severity,
                subject: rule.title(listener, of),
                problem: format!(
                    "{} is never reached: priority {} matches all its requests before",
                    rule.title(listener, of),
                    wider.priority.written
                ),
                symptom: "requests go where the earlier rule says; matched_rule_priority in the access log never names \
                          this one"
                    .to_owned(),
                fix: format!(
                    "give the narrower rule a priority below {}, or remove one of the two",
                    wider.priority.written
                ),
                evidence: vec![rule.priority.evidence(), wider.priority.evidence()],
            });
        }
    }
}

/// Whether every request that `narrow` matches is matched by `wide`.
fn takes_all_of(wide: &ListenerRule, narrow: &ListenerRule) -> bool {
    !wide.conditions.is_empty()
        && wide.conditions.iter().all(|wide| narrow.conditions.iter().any(|narrow| implies(narrow, wide)))
}

/// Whether whatever meets `narrow` meets `wide`.
fn implies(narrow: &Condition, wide: &Condition) -> bool {
    let covered = |value: &str| wide.values.iter().any(|wider| covers(&wide.field, &wider.value, value));
    narrow.field == wide.field
        && !narrow.values.is_empty()
        && narrow.values.iter().all(|value| covered(&value.value))
}

/// Whether a value of a condition matches whatever `narrow` matches. It may say no where the truth is yes.
fn covers(field: &ConditionField, wide: &str, narrow: &str) -> bool {
    let case = match field {
        ConditionField::PathPattern => Case::Sensitive,
        ConditionField::HttpRequestMethod => return wide == narrow,
        ConditionField::SourceIp => {
            let networks = (wide.parse::<IpNet>(), narrow.parse::<IpNet>());
            return wide == narrow || matches!(networks, (Ok(wide), Ok(narrow)) if wide.contains(&narrow));
        }
        ConditionField::HostHeader | ConditionField::QueryString | ConditionField::HttpHeader(_) => {
            Case::Insensitive
        }
    };
    // The wildcards of `narrow` are characters that only a `*` of `wide` matches, unless `wide` has a `?`.
    wide == narrow || (!wide.contains(['?', '\\']) && Pattern::new(wide, case).matches(narrow.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, condition, forward, path};

    #[track_caller]
    fn check(first: &[Condition], second: &[Condition], expected: bool) {
        let to = [forward(&[("web", 1)])];
        let expected = expected.then_some(Severity::Error);
        alb().rule(first, &to).rule(second, &to).expect(RULE.code, expected);
    }

    #[test]
    fn paths_are_compared_as_patterns() {
        for (first, second, expected) in [
            (&["/api/*"][..], &["/api/users"][..], true),
            (&["/api/*"], &["/api/v?/*"], true),
            (&["/api/*"], &["/api/a", "/api/b*"], true),
            (&["/api/*"], &["/api/a", "/b"], false),
            (&["/api/users"], &["/api/*"], false),
            (&["/a?"], &["/a*"], false),
            (&["/API/*"], &["/api/users"], false),
            (&["/ws"], &["/ws"], true),
            (&["*"], &["/ws"], true),
        ] {
            check(&[path(first)], &[path(second)], expected);
        }
    }

    #[test]
    fn all_conditions_count() {
        let host = |name| condition(ConditionField::HostHeader, &[name]);
        let source = |network| condition(ConditionField::SourceIp, &[network]);
        check(&[path(&["/a*"])], &[path(&["/ab"]), host("example.com")], true);
        check(&[path(&["/a*"]), host("example.com")], &[path(&["/ab"])], false);
        check(&[host("*.example.com")], &[host("WWW.example.com")], true);
        check(&[source("10.0.0.0/8")], &[source("10.1.0.0/16")], true);
        check(&[source("10.1.0.0/16")], &[source("10.0.0.0/8")], false);
        let method = |name| condition(ConditionField::HttpRequestMethod, &[name]);
        check(&[method("GET")], &[method("POST")], false);
    }
}

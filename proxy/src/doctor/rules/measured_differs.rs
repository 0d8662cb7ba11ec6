//! A live target or load balancer behaves otherwise than its settings say.

use super::{Finding, Rule, Severity, System};
use crate::doctor::setting::{Evidence, Place};

pub(super) const RULE: Rule = Rule {
    code: "measured-differs",
    severity: Severity::Warning,
    title: "what was measured is not what is declared",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for measured in &system.measured {
        for row in &measured.rows {
            let (Some(declared), Some(difference)) = (&row.declared, &row.difference) else { continue };
            findings.push(Finding {
                code: RULE.code,
                severity: difference.severity,
                subject: measured.subject.clone(),
                problem: format!("{} is {}, {} says {}", row.name, row.value, declared.key, declared.written),
                symptom: difference.symptom.clone(),
                fix: difference.fix.clone(),
                evidence: vec![
                    declared.clone(),
                    Evidence {
                        key: row.name.into(),
                        written: row.value.as_str().into(),
                        place: Place::Measured { at: measured.at.clone() },
                    },
                ],
            });
        }
    }
}

//! Findings as JSON for programs.

use serde_json::{Value, json as object};

use super::{Examination, with};
use crate::doctor::{
    finding::{Finding, Severity},
    rules,
    setting::{Evidence, Place},
};

/// The version of this format.
const VERSION: u32 = 1;

/// The whole examination.
#[must_use]
pub fn json(examination: &Examination) -> Value {
    let ignored = examination
        .ignored
        .iter()
        .map(|(finding, reason)| with(one(finding), "ignored", Value::from(reason.as_str())));
    object!({
        "version": VERSION,
        "scope": examination.scope,
        "errors": examination.count(Severity::Error),
        "warnings": examination.count(Severity::Warning),
        "infos": examination.count(Severity::Info),
        "findings": examination.findings.iter().map(one).chain(ignored).collect::<Vec<_>>(),
        "notes": examination.notes,
        "measured": super::measured::json(&examination.measured),
    })
}

fn one(finding: &Finding) -> Value {
    let title = rules::of(finding.code).map(|rule| rule.title);
    object!({
        "code": finding.code,
        "severity": finding.severity.name(),
        "title": title,
        "subject": finding.subject,
        "problem": finding.problem,
        "symptom": finding.symptom,
        "fix": finding.fix,
        "page": finding.page(),
        "settings": finding.evidence.iter().map(setting).collect::<Vec<_>>(),
    })
}

pub(super) fn setting(evidence: &Evidence) -> Value {
    let Evidence { key, written, place } = evidence;
    match place {
        Place::File { file, line, column } => {
            object!({ "key": **key, "value": **written, "file": **file, "line": line, "column": column })
        }
        Place::Default { of } => object!({ "key": **key, "value": **written, "default_of": **of }),
        Place::Measured { at } => object!({ "key": **key, "value": **written, "measured_at": **at }),
    }
}

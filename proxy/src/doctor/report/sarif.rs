//! Findings as SARIF 2.1.0 (OASIS), which code hosts show beside the lines.

use serde_json::{Value, json as object};

use super::{Examination, with};
use crate::doctor::{
    finding::{Finding, Severity},
    rules,
    setting::{Evidence, Place},
};

/// The whole examination. A finding with nothing in a file is shown at none.
#[must_use]
pub fn sarif(examination: &Examination) -> Value {
    let ignored = examination.ignored.iter().map(|(finding, reason)| {
        with(result(finding), "suppressions", object!([{ "kind": "external", "justification": reason }]))
    });
    let rules: Vec<Value> = rules::ALL
        .iter()
        .map(|rule| {
            object!({
                "id": rule.code,
                "shortDescription": { "text": rule.title },
                "help": { "text": format!("docs/findings/{}.md", rule.code) },
                "defaultConfiguration": { "level": level(rule.severity) },
            })
        })
        .collect();
    object!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "albeit doctor",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": examination.findings.iter().map(result).chain(ignored).collect::<Vec<_>>(),
        }],
    })
}

fn result(finding: &Finding) -> Value {
    let mut places = finding.evidence.iter().filter_map(location);
    let first: Vec<Value> = places.next().into_iter().collect();
    let others: Vec<Value> = places.collect();
    object!({
        "ruleId": finding.code,
        "level": level(finding.severity),
        "message": { "text": format!(
            "{}: {}. You see: {}. Fix: {}.", finding.subject, finding.problem, finding.symptom, finding.fix
        ) },
        "locations": first,
        "relatedLocations": others,
    })
}

fn location(evidence: &Evidence) -> Option<Value> {
    let Place::File { file, line, column } = &evidence.place else { return None };
    Some(object!({
        "physicalLocation": {
            "artifactLocation": { "uri": uri(file) },
            "region": { "startLine": line, "startColumn": column },
        },
        "message": { "text": format!("{} = {}", evidence.key, evidence.written) },
    }))
}

/// The name of a file as a reference of RFC 3986: relative to where the doctor ran, unless it is absolute.
fn uri(file: &str) -> String {
    let begin = if file.starts_with('/') { "file://" } else { "" };
    let mut uri = begin.to_owned();
    for byte in file.strip_prefix("./").unwrap_or(file).bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

/// SARIF's word for a severity.
const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

//! `/findings`: what the doctor says of the configuration in force, overrides included.
//!
//! Looked for once for each change of what is in force, off the threads that serve requests: files that the
//! configuration names about its targets (`targets_declare`) are read again then.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{control::InForce, query::present};
use crate::doctor::{
    diagnose,
    finding::Finding,
    rules,
    setting::{Evidence, Place},
    sources,
};

/// The findings about what was in force when somebody asked last.
#[derive(Debug, Default)]
pub(super) struct Findings(Mutex<Option<Found>>);

#[derive(Debug)]
struct Found {
    of: Arc<InForce>,
    findings: Arc<[Value]>,
}

impl Findings {
    /// The findings about `in_force`, the worst first. None, and a warning in the log, if the doctor cannot
    /// read what the configuration names.
    pub(super) async fn of(&self, in_force: &Arc<InForce>) -> Arc<[Value]> {
        let mut last = self.0.lock().await;
        if let Some(found) = last.as_ref().filter(|found| Arc::ptr_eq(&found.of, in_force)) {
            return Arc::clone(&found.findings);
        }
        let of = Arc::clone(in_force);
        // Files are read, which may block.
        let looking = tokio::task::spawn_blocking(move || look(&of));
        let findings: Arc<[Value]> = looking.await.unwrap_or_default().into();
        *last = Some(Found { of: Arc::clone(in_force), findings: Arc::clone(&findings) });
        findings
    }
}

fn look(in_force: &InForce) -> Vec<Value> {
    let env = |name: &str| std::env::var(name).ok();
    match sources::read_in_force(&in_force.source, &in_force.overrides, &env) {
        Ok(system) => diagnose(&system).iter().map(describe).collect(),
        Err(error) => {
            tracing::warn!(%error, "the doctor cannot look at the configuration in force");
            Vec::new()
        }
    }
}

fn describe(finding: &Finding) -> Value {
    json!({
        "Code": finding.code,
        "Severity": finding.severity.name(),
        "Title": rules::of(finding.code).map(|rule| rule.title),
        "Subject": finding.subject,
        "Problem": finding.problem,
        "Symptom": finding.symptom,
        "Fix": finding.fix,
        "Page": finding.page(),
        "Settings": finding.evidence.iter().map(setting).collect::<Vec<_>>(),
    })
}

fn setting(Evidence { key, written, place }: &Evidence) -> Value {
    let (file, default_of, measured_at) = match place {
        Place::File { file, line, column } => (Some((file, line, column)), None, None),
        Place::Default { of } => (None, Some(of), None),
        Place::Measured { at } => (None, None, Some(at)),
    };
    present(json!({
        "Key": **key,
        "Value": **written,
        "File": file.map(|(file, ..)| &**file),
        "Line": file.map(|(_, line, _)| line),
        "Column": file.map(|(.., column)| column),
        "DefaultOf": default_of.map(|of| &**of),
        "MeasuredAt": measured_at.map(|at| &**at),
    }))
}

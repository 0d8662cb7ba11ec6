//! The result of one look at a system.

use time::Date;

use super::{
    diagnose,
    finding::{Finding, Severity},
    ignore::Ignored,
    measured::Measured,
    system::System,
};

/// What was found, and what was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examination {
    /// Findings, the worst first.
    pub findings: Vec<Finding>,
    /// Findings that somebody decided to live with, with the reason.
    pub ignored: Vec<(Finding, String)>,
    /// What the reader should know besides: entries that ignore nothing, facts that nobody told.
    pub notes: Vec<String>,
    /// What was measured.
    pub measured: Vec<Measured>,
    /// What was looked at, in one line.
    pub scope: String,
}

impl Examination {
    /// Looks at a system on a day.
    #[must_use]
    pub fn of(system: &System, ignore: &[Ignored], today: Date) -> Self {
        let mut findings = diagnose(system);
        let mut notes = unknown(system);
        notes.extend(idle(ignore, &findings, today));
        let mut ignored = Vec::new();
        findings.retain(|finding| {
            let covering = ignore.iter().find(|entry| entry.covers(finding, today));
            ignored.extend(covering.map(|entry| (finding.clone(), entry.reason.clone())));
            covering.is_none()
        });
        Self { findings, ignored, notes, measured: system.measured.clone(), scope: scope(system) }
    }

    /// The worst finding's severity.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    /// How many findings are of a severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// What nobody told, and what would tell it.
fn unknown(system: &System) -> Vec<String> {
    let mut notes = Vec::new();
    if system.load_balancers.is_empty() && !system.applications.is_empty() {
        notes.push(
            "nothing is known of a load balancer: give its configuration, Terraform or the output of \
             `aws elbv2 describe-*`"
                .to_owned(),
        );
    }
    for hop in system.hops() {
        let note = match hop.application {
            None if hop.target_group.serves_clients() => Some(format!(
                "nothing is known of what runs in {}: give its application.yml, task definition or compose file",
                hop.target_group.title()
            )),
            Some(application)
                if application.keep_alive_timeout.is_none() && hop.load_balancer.is_application() =>
            {
                Some(format!(
                    "the keep-alive timeout of {} is not known: `albeit doctor --probe` can measure it",
                    application.title()
                ))
            }
            _ => None,
        };
        notes.extend(note.filter(|note| !notes.contains(note)));
    }
    notes.extend(system.notes.iter().map(|note| format!("{}: {}", note.place, note.message)));
    notes
}

/// Entries of the ignore list that ignore nothing.
fn idle(ignore: &[Ignored], findings: &[Finding], today: Date) -> Vec<String> {
    let idle = ignore.iter().filter(|entry| !findings.iter().any(|finding| entry.covers(finding, today)));
    idle.map(|entry| {
        let place = entry.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
        let over = entry.until.filter(|until| *until < today);
        let why =
            over.map_or_else(|| "there is nothing to ignore".to_owned(), |until| format!("ended on {until}"));
        format!("{place}ignoring {}: {why}", entry.code)
    })
    .collect()
}

fn scope(system: &System) -> String {
    let listeners = system.load_balancers.iter().map(|load_balancer| load_balancer.listeners.len()).sum();
    [
        (system.load_balancers.len(), "load balancer"),
        (listeners, "listener"),
        (system.target_groups.len(), "target group"),
        (system.applications.len(), "application"),
    ]
    .map(|(count, what)| plural(count, what))
    .join(", ")
}

/// `1 error`, `2 errors`.
#[must_use]
pub fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

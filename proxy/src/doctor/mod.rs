//! `albeit doctor`: finds the timeouts, limits and cookies that clash along the
//! path from client to target.
//!
//! [`sources`] read what is known (`albeit`'s own configuration, Spring's
//! `application.yml`, Terraform, `aws elbv2 describe-*` and others) into one
//! [`System`] in ELB's words, in which every setting knows its file and line;
//! [`rules`] look at it, one file for each code; [`report`] writes findings as
//! text, JSON or SARIF. Nothing here opens a socket.

pub mod application;
pub mod attributes;
pub mod configuration;
pub mod document;
pub mod examination;
pub mod finding;
pub mod ignore;
pub mod measured;
pub mod path;
pub mod report;
pub mod rules;
mod secret;
pub mod setting;
pub mod sources;
pub mod system;

use self::{finding::Finding, system::System};

/// Everything that is wrong with a system: the worst first, then by code and place.
#[must_use]
pub fn diagnose(system: &System) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in rules::ALL {
        (rule.check)(system, &mut findings);
    }
    let place = |finding: &Finding| finding.evidence.first().map(|evidence| evidence.place.clone());
    findings.sort_by(|a, b| {
        b.severity.cmp(&a.severity).then_with(|| (a.code, place(a)).cmp(&(b.code, place(b))))
    });
    // Several ways through one group are one mistake.
    let mut once: Vec<Finding> = Vec::with_capacity(findings.len());
    for finding in findings {
        if !once.contains(&finding) {
            once.push(finding);
        }
    }
    once
}

#[cfg(test)]
mod tests;

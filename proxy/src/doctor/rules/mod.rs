//! The rules: one file each, named by its code.
//!
//! A rule looks at what is known and says what clashes; it says nothing about
//! what nobody told. The code is the name of the page `docs/findings/CODE.md`.

mod keep_alive_race;

use super::{
    finding::{Finding, Severity},
    system::System,
};

/// A rule of the doctor.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its code, in lower case with hyphens.
    pub code: &'static str,
    /// How bad its findings are at most.
    pub severity: Severity,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// Adds what it finds.
    pub(super) check: fn(&System, &mut Vec<Finding>),
}

/// All rules, by code.
pub const ALL: &[Rule] = &[keep_alive_race::RULE];

#[cfg(test)]
mod tests;

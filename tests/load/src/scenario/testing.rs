//! What the tests of judgements share.

use crate::outcome::Outcome;

/// The expectations that do not hold, and what was measured; empty if all hold.
pub(crate) fn verdict(outcome: &Outcome) -> String {
    let failed = outcome.expectations.iter().filter(|expectation| !expectation.passed);
    let parts: Vec<_> = failed.map(|one| format!("{}: {}", one.name, one.measured)).collect();
    parts.join("; ")
}

//! What the doctor has found.

use std::fmt;

use super::setting::Evidence;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing breaks.
    Info,
    /// It breaks under circumstances that will come.
    Warning,
    /// It breaks.
    Error,
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One mistake in the path from client to target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its code: the name of the rule and of its page, `docs/findings/CODE.md`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about, such as `target group web`.
    pub subject: String,
    /// What clashes with what, in one sentence with both values.
    pub problem: String,
    /// What users, targets and logs will show.
    pub symptom: String,
    /// What to change, with the value.
    pub fix: String,
    /// The settings that clash, the one to change first.
    pub evidence: Vec<Evidence>,
}

impl Finding {
    /// The page about findings of this kind.
    #[must_use]
    pub fn page(&self) -> String {
        format!("docs/findings/{}.md", self.code)
    }
}

//! Whether messages are being kept.

use std::fmt;

/// What the store is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Switched off by `store.enabled`.
    Off,
    /// The database has not answered yet, nor failed.
    Starting,
    /// The last write or check succeeded.
    Up,
    /// The last write or check failed; it is tried again and again.
    Down(Failure),
}

/// Why the database does not take messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure it is.
    pub cause: Cause,
    /// What the database said.
    pub error: String,
}

/// Kinds of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It cannot be opened or reached, or does not answer in time.
    Unreachable,
    /// Somebody else holds its lock.
    Locked,
    /// The disk, or the room that `store.max-size` gives, is full.
    Full,
    /// It takes no writes.
    ReadOnly,
    /// Anything else.
    Failed,
}

impl Cause {
    /// As in metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Locked => "locked",
            Self::Full => "full",
            Self::ReadOnly => "read-only",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause.as_str(), self.error)
    }
}

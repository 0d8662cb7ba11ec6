//! What an access log entry means, in words: the shape of it. Who makes requests knows the words.

use std::borrow::Cow;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing is wrong.
    Info,
    /// The client's doing, or wrong under circumstances.
    Warning,
    /// A user saw a failure.
    Error,
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What an entry means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meaning {
    /// What happened, in a few words.
    pub title: Cow<'static, str>,
    /// Why, and what to look at.
    pub text: Cow<'static, str>,
    /// How bad it is.
    pub severity: Severity,
    /// The page that tells more, from the root of the repository.
    pub more: Option<&'static str>,
}

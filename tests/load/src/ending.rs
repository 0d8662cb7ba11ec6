//! How the program ends: what its exit status says.

use std::process::ExitCode;

use anyhow::Error;

/// How the program ends, mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    /// All that had to hold did.
    Held,
    /// An expectation, a limit or a comparison failed.
    Failed,
    /// Something could not be measured.
    Unmeasured,
    /// Arguments or files are wrong.
    Misused,
    /// A signal ended it, such as that of Ctrl-C.
    Interrupted,
}

/// Why there is no result, by whose fault that is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Arguments or files are wrong: the caller's.
    #[error("{0:#}")]
    Misused(Error),
    /// The service could not be measured, such as when nothing listens there.
    #[error("{0:#}")]
    Unmeasured(Error),
    /// A second signal came before what ran had ended.
    #[error("interrupted")]
    Interrupted,
}

impl Failure {
    /// What a scenario fails with: the service's fault unless it says that it is the caller's.
    pub(crate) fn of(error: Error) -> Self {
        error.downcast().unwrap_or_else(Self::Unmeasured)
    }

    /// Arguments or files are wrong.
    pub(crate) fn misused(error: impl Into<Error>) -> Self {
        Self::Misused(error.into())
    }
}

/// An error of a scenario that is the caller's fault.
pub(crate) fn misused(message: impl Into<String>) -> Error {
    Failure::misused(Error::msg(message.into())).into()
}

impl From<&Failure> for Ending {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Misused(_) => Self::Misused,
            Failure::Unmeasured(_) => Self::Unmeasured,
            Failure::Interrupted => Self::Interrupted,
        }
    }
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        Self::from(match ending {
            Ending::Held => 0,
            Ending::Failed => 1,
            Ending::Misused => 2,
            Ending::Unmeasured => 3,
            // As of shells: 128 and the number of SIGINT.
            Ending::Interrupted => 130,
        })
    }
}

//! The exit statuses of all commands: one table, which help, man pages and `docs/cli.md` show.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Exit {
    /// What was asked for is done.
    Done = 0,
    /// It could not start, be reached or be finished.
    Failed = 1,
    /// The arguments, the configuration or the token are wrong.
    Wrong = 2,
    /// Something needs a look.
    Warning = 3,
    /// Something is broken.
    Error = 4,
    /// It was not so in time.
    TimedOut = 5,
}

impl Exit {
    /// All of them.
    pub(super) const ALL: [Self; 6] =
        [Self::Done, Self::Failed, Self::Wrong, Self::Warning, Self::Error, Self::TimedOut];

    /// The number.
    pub(super) const fn code(self) -> u8 {
        self as u8
    }

    /// What it means, whatever the command.
    pub(super) const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "could not start or be reached, or broke",
            Self::Wrong => "the configuration, the arguments or the token are wrong",
            Self::Warning => "something needs a look: a warning was found, a target is not healthy",
            Self::Error => "something is broken: an error was found, a target group has no healthy target",
            Self::TimedOut => "not finished in the time given by --timeout",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_documented_ones() {
        assert_eq!(Exit::ALL.map(Exit::code), [0, 1, 2, 3, 4, 5]);
    }
}

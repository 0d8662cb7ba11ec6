//! What the process logs of itself, to standard error: `--log-format`, `--color`, `RUST_LOG`.

use std::io::IsTerminal as _;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// How it is logged.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct LoggingArguments {
    /// How the log on standard error is written
    #[arg(long, env = "ALBEIT_LOG_FORMAT", value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// When to use colours; `auto` is on a terminal, unless `NO_COLOR` or `CLICOLOR_FORCE` says otherwise
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
}

/// The form of a line of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people; coloured on a terminal
    #[default]
    Plain,
    /// For programs: one JSON object a line
    Json,
}

/// When there is colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal
    #[default]
    Auto,
    /// Also into files and pipes
    Always,
    /// Not at all
    Never,
}

impl Color {
    /// `variable` looks up the environment. As <https://no-color.org> and <https://bixense.com/clicolors> say,
    /// an empty `NO_COLOR` is none, and a `CLICOLOR_FORCE` of 0 forces nothing.
    fn is_on(self, is_terminal: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
        let is_set = |name| variable(name).is_some_and(|value| !value.is_empty());
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if is_set("NO_COLOR") => false,
            Self::Auto => {
                let is_forced =
                    is_set("CLICOLOR_FORCE") && variable("CLICOLOR_FORCE").as_deref() != Some("0");
                is_forced || is_terminal
            }
        }
    }
}

impl LoggingArguments {
    /// Logs to standard error from now on, by `RUST_LOG`, else from `info` up.
    pub fn start(self) {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        match self.log_format {
            LogFormat::Plain => {
                let is_terminal = std::io::stderr().is_terminal();
                log.with_ansi(self.color.is_on(is_terminal, |name| std::env::var(name).ok())).init();
            }
            LogFormat::Json => {
                log.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check((color, is_terminal): (Color, bool), environment: &[(&str, &str)], expected: bool) {
        let variable = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        assert_eq!(color.is_on(is_terminal, variable), expected, "{color:?} {is_terminal} {environment:?}");
    }

    #[test]
    fn colours_are_for_terminals_unless_somebody_says_otherwise() {
        check((Color::Auto, true), &[], true);
        check((Color::Auto, false), &[], false);
        check((Color::Auto, true), &[("NO_COLOR", "1")], false);
        check((Color::Auto, true), &[("NO_COLOR", "")], true);
        check((Color::Auto, false), &[("CLICOLOR_FORCE", "1")], true);
        check((Color::Auto, false), &[("CLICOLOR_FORCE", "0")], false);
        check((Color::Auto, false), &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false);
        check((Color::Always, false), &[("NO_COLOR", "1")], true);
        check((Color::Never, true), &[("CLICOLOR_FORCE", "1")], false);
    }
}

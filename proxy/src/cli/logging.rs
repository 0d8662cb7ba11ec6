//! What the process logs of itself, to standard error: `--log-format`, `--color`, `RUST_LOG`.

mod json;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::server::prepare;

/// What is logged unless `RUST_LOG` says otherwise. The HTTP engine's own words are for its developers.
const DEFAULT_LOG: &str = "info,pingora_core=error";

/// How it is logged.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct LoggingArgs {
    /// How the log on standard error is written.
    #[arg(long, value_name = "FORMAT", env = "ALBEIT_LOG_FORMAT", value_enum, default_value_t = LogFormat::Plain)]
    pub(super) log_format: LogFormat,
    #[command(flatten)]
    pub(super) color: ColorArg,
}

/// The form of a line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people; coloured on a terminal.
    Plain,
    /// For programs: one JSON object a line.
    Json,
}

impl LogFormat {
    /// As it is written on the command line.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Json => "json",
        }
    }
}

/// Whether there is colour.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct ColorArg {
    /// When to use colours; `auto` is on a terminal, unless `NO_COLOR` or `CLICOLOR_FORCE` says otherwise.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Color::Auto)]
    pub(super) color: Color,
}

/// When there is colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal.
    Auto,
    /// Also into files and pipes.
    Always,
    /// Not at all.
    Never,
}

impl ColorArg {
    /// Makes it hold for all that is printed from now on.
    pub(super) fn apply(self) {
        let choice = match self.color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }

    /// As it is written on the command line.
    pub(super) const fn as_str(self) -> &'static str {
        match self.color {
            Color::Auto => "auto",
            Color::Always => "always",
            Color::Never => "never",
        }
    }
}

/// Logs to standard error, by `RUST_LOG`; an empty one is like none, as environment files write it.
pub(super) fn start(args: LoggingArgs) {
    prepare::install_crypto_provider();
    args.color.apply();
    let wanted = std::env::var("RUST_LOG").ok().filter(|wanted| !wanted.trim().is_empty());
    let filter = wanted.and_then(|wanted| EnvFilter::try_new(wanted).ok());
    let filter = filter.unwrap_or_else(|| EnvFilter::new(DEFAULT_LOG));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match args.log_format {
        LogFormat::Plain => {
            let choice = anstream::AutoStream::choice(&std::io::stderr());
            log.with_ansi(choice != anstream::ColorChoice::Never).with_target(false).init();
        }
        LogFormat::Json => log.event_format(json::Json).init(),
    }
}

//! The command line: arguments, exit statuses, and what is printed for people.
//!
//! Exit statuses: 0 done, 1 could not start or broke, 2 the configuration or
//! the arguments are wrong; `doctor` has more.

mod certs;
mod check;
mod dev;
mod doctor;
mod probe;
mod run;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};

use crate::{
    config,
    time_scale::{InvalidTimeScale, TimeScale},
};

/// Exit status of a wrong configuration.
const WRONG_CONFIGURATION: u8 = 2;

/// A self-hosted load balancer that behaves like an AWS Application or Network Load Balancer.
#[derive(Debug, Parser)]
#[command(name = "albeit", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the load balancers of a configuration. SIGHUP reloads it, SIGTERM drains and ends.
    ///
    /// The configuration file is also reloaded when it has changed and lain still for a second, and so are
    /// its certificates, private keys, trust stores and revocation lists. What cannot be used is reported
    /// and changes nothing.
    Run(RunArgs),
    /// Check a configuration and say what would listen where.
    Check(ConfigArg),
    /// Find the timeouts, limits and cookies that clash on the way from client to target.
    ///
    /// Exit status 0 if nothing denied was found, 2 if the arguments or files are wrong, 3 if the worst denied
    /// finding is a warning or less, 4 if it is an error.
    Doctor(doctor::DoctorArgs),
    /// Make a development CA, a certificate for localhost and a stickiness key. Nothing is overwritten.
    Certs(CertsArgs),
    /// Run two backends and the load balancer in front of them, for development.
    Dev(DevArgs),
}

#[derive(Debug, Args)]
struct ConfigArg {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// How long open work may go on after SIGTERM.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    drain: Duration,
    #[command(flatten)]
    scale: ScaleArg,
    /// Set `SO_REUSEPORT` on listeners, so that other sockets may share their ports.
    #[arg(long)]
    reuse_port: bool,
}

#[derive(Debug, Args)]
struct ScaleArg {
    /// Divide every timer by this: with 60 an hour's idle timeout shows in a minute.
    #[arg(long, value_name = "DIVISOR", default_value = "1", value_parser = parse_time_scale)]
    time_scale: TimeScale,
}

#[derive(Debug, Args)]
struct CertsArgs {
    /// Directory for the files.
    #[arg(long, value_name = "DIR", default_value = "certs")]
    dir: PathBuf,
}

#[derive(Debug, Args)]
struct DevArgs {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = "conf/dev.yaml")]
    config: PathBuf,
    /// How long open work may go on after Ctrl-C.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse_duration)]
    drain: Duration,
    #[command(flatten)]
    scale: ScaleArg,
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    config::duration(text).ok_or_else(|| "a duration has a unit, such as 30s or 5m".to_owned())
}

fn parse_time_scale(text: &str) -> Result<TimeScale, String> {
    let divisor: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    TimeScale::try_new(divisor).map_err(|error: InvalidTimeScale| error.to_string())
}

/// Does what the command line says and returns the exit status.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::check(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Certs(args) => certs::certs(&args),
        Command::Dev(args) => dev::dev(&args),
    };
    done.unwrap_or_else(|error| {
        complain(&format!("albeit: {error:#}"));
        ExitCode::FAILURE
    })
}

/// Prints to standard output. A closed output is nothing to fail over.
fn say(text: &str) {
    use std::io::Write;
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}

/// Prints to standard error.
fn complain(text: &str) {
    use std::io::Write;
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_and_scales_are_checked() {
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert!(parse_duration("30").is_err());
        assert!(parse_time_scale("60").is_ok());
        assert!(parse_time_scale("0").is_err());
    }
}

//! The command line: arguments, exit statuses, and what is printed for people.

mod api;
mod certs;
mod check;
mod completions;
mod connections;
mod dev;
mod doctor;
mod drain;
mod exit;
mod help;
mod logging;
mod man;
mod pid_file;
mod probe;
mod register;
mod reload;
mod run;
mod service_manager;
mod status;
mod table;
mod target;
mod wait;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use self::{api::Problem, exit::Exit, logging::LoggingArgs};
use crate::{
    config,
    doctor::report::visible,
    time_scale::{InvalidTimeScale, TimeScale},
};

/// Exit status of a wrong configuration.
const WRONG_CONFIGURATION: u8 = Exit::Wrong.code();

/// A self-hosted load balancer that behaves like an AWS Application or Network Load Balancer.
#[derive(Debug, Parser)]
#[command(name = "albeit", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the load balancers of a configuration. SIGHUP reloads it, SIGTERM drains and ends.
    ///
    /// The configuration file is also reloaded when it has changed and lain still for a second, and so are
    /// its certificates, private keys, trust stores and revocation lists. What cannot be used is reported
    /// and changes nothing.
    Run(RunArgs),
    /// Show targets' health, connections, certificates and findings of a running load balancer.
    ///
    /// Asks the admin API, which must be switched on (admin.bind) and is read without a token. The exit status
    /// tells how it is; what is wrong comes first. A draining target is nothing wrong.
    Status(status::StatusArgs),
    /// List open connections and WebSockets, with the time left until the idle timeout cuts them.
    ///
    /// The countdown starts again with each byte in either direction. While a request waits for its target
    /// the request's own timer runs, and the time shown is the least there is.
    Connections(connections::ConnectionsArgs),
    /// Deregister a target: it gets nothing new, and may finish what it has.
    ///
    /// Open requests and WebSockets may go on for `deregistration_delay.timeout_seconds` of the target group. The
    /// target is out until it is registered again, over reloads, too, or until the load balancer ends.
    Drain(drain::DrainArgs),
    /// Register a target, new or drained before: it gets requests once its health check has passed.
    ///
    /// It is in until it is drained, over reloads, too, or until the load balancer ends: what is to last
    /// belongs into the configuration file.
    Register(register::RegisterArgs),
    /// Read the configuration file again; with mistakes nothing changes, and they are shown.
    ///
    /// The same as SIGHUP, but one sees what came of it. The file is read by the load balancer, where it runs.
    Reload(reload::ReloadArgs),
    /// Check a configuration and say what would listen where.
    ///
    /// Reads all files that it names, too. Every mistake is told with its line and column.
    Check(ConfigArg),
    /// Find the timeouts, limits and cookies that clash on the way from client to target.
    ///
    /// Exit status 0 if nothing denied was found, 2 if the arguments or files are wrong, 3 if the worst denied
    /// finding is a warning or less, 4 if it is an error.
    Doctor(doctor::DoctorArgs),
    /// Run two backends and the load balancer in front of them, for development.
    ///
    /// Makes certificates if there are none, starts one albeit-backend for each target of the configuration, and
    /// prints where things are. A backend that ends is started again 15 s later, time enough to see what its
    /// clients go through.
    Dev(DevArgs),
    /// Make a development CA, a certificate for localhost and a stickiness key. Nothing is overwritten.
    Certs(CertsArgs),
    /// Print the script that completes albeit's commands and options in a shell.
    ///
    /// It has to be made again after an upgrade.
    Completions(completions::CompletionsArgs),
    /// Print a manual page, or write all of them into a directory.
    Man(man::ManArgs),
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
    upgrade: run::UpgradeArgs,
    #[command(flatten)]
    scale: ScaleArg,
    /// Set `SO_REUSEPORT` on listeners, so that other sockets may share their ports.
    #[arg(long)]
    reuse_port: bool,
    #[command(flatten)]
    logging: LoggingArgs,
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
    #[command(flatten)]
    logging: LoggingArgs,
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    config::duration(text).ok_or_else(|| "a duration has a unit, such as 30s or 5m".to_owned())
}

fn parse_time_scale(text: &str) -> Result<TimeScale, String> {
    let divisor: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    TimeScale::try_new(divisor).map_err(|error: InvalidTimeScale| error.to_string())
}

/// The command line with its help.
fn command() -> clap::Command {
    help::teach(Cli::command())
}

/// Does what the command line says and returns the exit status.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::from_arg_matches(&command().get_matches()).unwrap_or_else(|error| error.exit());
    let Some(wanted) = cli.command else {
        say(&help::welcome(&command()));
        return Exit::Done.into();
    };
    let done = match wanted {
        Command::Run(args) => run::run(&args),
        Command::Status(args) => status::status(&args),
        Command::Connections(args) => connections::connections(&args),
        Command::Drain(args) => drain::drain(&args),
        Command::Register(args) => register::register(&args),
        Command::Reload(args) => reload::reload(&args),
        Command::Check(args) => check::check(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Dev(args) => dev::dev(&args),
        Command::Certs(args) => certs::certs(&args),
        Command::Completions(args) => Ok(completions::completions(args)),
        Command::Man(args) => man::man(&args),
    };
    done.unwrap_or_else(|error| {
        // Words of a load balancer may be in it.
        format!("albeit: {error:#}").lines().for_each(|line| complain(&visible(line)));
        error.downcast_ref().map_or(Exit::Failed, Problem::exit).into()
    })
}

/// Prints styled text to standard output, without its styles where there is no terminal.
fn show(text: &str) {
    use std::io::Write;
    drop(anstream::stdout().lock().write_all(text.as_bytes()));
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
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        command().debug_assert();
    }

    #[test]
    fn durations_and_scales_are_checked() {
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert!(parse_duration("30").is_err());
        assert!(parse_time_scale("60").is_ok());
        assert!(parse_time_scale("0").is_err());
    }
}

//! The command line.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::{compare, limit::Limit, outcome::Outcome, report, scenario, scenario::Run, scenario_file};

/// Load and timeouts of WebSocket services and of balancers in front of them: measured, and held to expectations
#[derive(Debug, Parser)]
#[command(name = "albeit-load", version, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Where results go.
    #[command(flatten)]
    pub(crate) output: Output,
}

const AFTER_HELP: &str = "Exit status: 0 all expectations and limits held, 1 one did not, \
    2 wrong arguments or files, 3 nothing could be measured, \
    130 interrupted.";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// A scenario, by its name.
    #[command(flatten)]
    Scenario(Box<Scenario>),
    /// Run what scenario files say, for CI
    Run(scenario_file::Arguments),
    /// Compare two results, and fail on a regression
    Compare(compare::Arguments),
    /// A report of results measured before, all in one: `report RESULT.json… --html FILE`
    Report(report::Arguments),
}

/// Where results go, and what they are held to.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Output {
    /// Write the results as JSON; `-` is standard output, which then has nothing else
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the results as one page of HTML with plots
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write the results as JUnit XML, which CI systems show
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Print neither progress nor results
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Fail when a figure is beyond this, as `p99<=200ms` or `answers_per_second>=500`; may be repeated
    #[arg(long = "limit", global = true, value_name = "NAME<=VALUE")]
    pub(crate) limits: Vec<Limit>,
}

/// Makes [`Scenario`] of one line for each.
macro_rules! scenarios {
    ($($(#[$help:meta])* $name:ident($module:ident),)+) => {
        /// A scenario and what it is told.
        #[derive(Debug, Subcommand)]
        pub(crate) enum Scenario {
            $($(#[$help])* $name(scenario::$module::Arguments),)+
        }

        impl Scenario {
            /// Measures.
            ///
            /// # Errors
            ///
            /// What kept it from measuring.
            pub(crate) async fn run(&self, run: &Run) -> Result<Outcome> {
                match self {
                    $(Self::$name(arguments) => Box::pin(scenario::$module::run(arguments, run)).await,)+
                }
            }
        }
    };
}

// A line here is a command: its help, its name, and its module in `scenario`.
scenarios! {
    /// Who cuts silent connections, when, and how
    IdleCut(idle_cut),
    /// The 502 of a target that closes idle connections before the balancer does
    KeepaliveRace(keepalive_race),
    /// Whether heart-beats keep connections open, and how the server's come
    Heartbeat(heartbeat),
    /// Whether every client stays at one target
    Sticky(sticky),
    /// What clients notice when a target goes
    Drain(drain),
    /// What clients notice when the balancer reloads
    Reload(reload),
    /// Messages that come back to their sender: round trips, and processor time for each
    Echo(echo),
    /// One publisher, many subscribers: times of delivery, and processor time for each
    FanOut(fan_out),
    /// New connections: time up to the TCP, TLS, WebSocket or protocol handshake
    Handshakes(handshakes),
    /// Connections that idle: how many end and how, memory and processor time
    Hold(hold),
    /// Requests or WebSocket echoes, at a rate or flat out: latency, statuses, share of each target
    Throughput(throughput),
}

//! Load for WebSocket services and the balancers before them: scenarios that
//! measure, say what they expected, and fail when that did not hold.
//!
//! Costs, where a process is named, are that process's alone, from `/proc`;
//! times are told by clients that share the machine with it.

mod arguments;
mod client;
mod compare;
mod cost;
mod crowd;
mod descriptors;
mod ending;
mod html;
mod interrupt;
mod junit;
mod limit;
mod mark;
mod measure;
mod outcome;
mod pace;
mod process;
mod progress;
mod quantity;
mod record;
mod report;
mod results;
#[cfg(test)]
mod sample;
mod scenario;
mod scenario_file;
mod target;
mod text;
mod workers;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};
use ending::{Ending, Failure};

/// One thread: the other cores are the service's.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Arguments { command, output } = Arguments::parse();
    let ending = match command {
        Command::Scenario(scenario) => measure::one(&scenario, &output).await,
        Command::Run(arguments) => scenario_file::run(&arguments, &output).await,
        Command::Compare(arguments) => compare::run(&arguments, &output),
        Command::Report(arguments) => report::run(&arguments, &output),
    };
    ending.unwrap_or_else(|failure| fail(&failure)).into()
}

#[expect(clippy::print_stderr, reason = "the program's own error")]
fn fail(failure: &Failure) -> Ending {
    eprintln!("albeit-load: {failure}");
    failure.into()
}

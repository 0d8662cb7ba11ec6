//! Load for WebSocket services, and what it costs them.
//!
//! Each run speaks STOMP or Socket.IO to one server, measures its processor time
//! and memory in `/proc`, and prints one line of JSON. Costs are the server's
//! alone; times are told by clients that share the machine with it.

mod client;
mod crowd;
mod echo;
mod fan_out;
mod hold;
mod legacy;
mod outcome;
mod process;
mod progress;
mod report;
mod scenario;
mod target;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use legacy::Protocol;

/// Load for WebSocket services, and what it costs them
#[derive(Debug, Parser)]
#[command(name = "albeit-load", version)]
struct Arguments {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// One publisher, many subscribers: processor time for each delivery
    FanOut(fan_out::Arguments),
    /// Messages that come back to their sender: processor time for each
    Echo(echo::Arguments),
    /// Connections that idle: memory for each
    Hold(hold::Arguments),
}

/// Where a server is, and what it speaks.
#[derive(Debug, Clone, clap::Args)]
struct Server {
    /// Address of the WebSocket, as `ws://127.0.0.1:8080/ws`
    #[arg(long)]
    url: String,
    /// What is spoken there
    #[arg(long, value_enum)]
    protocol: Protocol,
    /// Process whose cost is measured, its children included
    #[arg(long)]
    pid: u32,
    /// Longest time that any step may take, in seconds
    #[arg(long, default_value_t = 120)]
    patience: u64,
}

impl Server {
    fn patience(&self) -> Duration {
        Duration::from_secs(self.patience)
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::failure(&error);
            ExitCode::FAILURE
        }
    }
}

/// One thread: the other core is the server's.
#[tokio::main(flavor = "current_thread")]
async fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.scenario {
        Scenario::FanOut(arguments) => report::line(&fan_out::run(arguments).await?),
        Scenario::Echo(arguments) => report::line(&echo::run(arguments).await?),
        Scenario::Hold(arguments) => report::line(&hold::run(arguments).await?),
    }
}

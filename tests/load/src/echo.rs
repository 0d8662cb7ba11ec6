//! Messages that come back: every client subscribes to what it publishes
//! itself, one message at a time.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::time::{Instant, timeout};

use crate::Server;
use crate::legacy::Client;
use crate::process;
use crate::report::rounded;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    server: Server,
    /// Round trips that are measured
    #[arg(long, default_value_t = 20_000)]
    messages: u32,
    /// Bytes of a message
    #[arg(long, default_value_t = 200)]
    size: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    scenario: &'static str,
    messages: u32,
    /// Of the server, in microseconds.
    cpu_per_message_us: f64,
    round_trips_per_second: f64,
}

pub(crate) async fn run(arguments: Arguments) -> Result<Outcome> {
    let Arguments { server, messages, size } = arguments;
    let mut client = Client::connect(&server.url, server.protocol, 0, Duration::ZERO).await?;
    client.subscribe().await?;
    let body = ["x".repeat(size)];
    let mut started = (Instant::now(), 0.0);
    let warm_up = messages / 10;
    for number in 0..warm_up + messages {
        if number == warm_up {
            started = (Instant::now(), process::processor_time(server.pid)?);
        }
        client.publish(&body).await?;
        timeout(server.patience(), client.delivery()).await.context("a message did not come back")??;
    }
    let elapsed = started.0.elapsed().as_secs_f64();
    let spent = process::processor_time(server.pid)? - started.1;
    Ok(Outcome {
        scenario: "echo",
        messages,
        cpu_per_message_us: rounded(spent / f64::from(messages)),
        round_trips_per_second: (f64::from(messages) / elapsed).round(),
    })
}

//! Connections that idle, with the heart-beats of their protocol.

use std::time::Duration;

use anyhow::{Result, bail};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::fan_out::megabytes;
use crate::report::rounded;
use crate::{Server, crowd, process};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    server: Server,
    /// Connections
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Seconds between heart-beats of STOMP, 0 for none
    #[arg(long, default_value_t = 10)]
    heart_beat: u64,
    /// Seconds to hold them all
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    scenario: &'static str,
    connections: usize,
    /// From the first connection to the last, in seconds.
    connected_in_s: f64,
    memory_mb: f64,
    kb_per_connection: f64,
    /// Of one core, while idle.
    cpu_percent: f64,
}

pub(crate) async fn run(arguments: Arguments) -> Result<Outcome> {
    let Arguments { server, connections, heart_beat, seconds } = arguments;
    let heart_beat = Duration::from_secs(heart_beat);
    let before = process::memory(server.pid)?;
    let started = Instant::now();
    let mut open = JoinSet::new();
    crowd::connect(&server, connections, heart_beat, |client| {
        open.spawn(client.idle(heart_beat));
    })
    .await?;
    let connected_in = started.elapsed().as_secs_f64();
    let spent = process::processor_time(server.pid)?;
    let end = Instant::now() + Duration::from_secs(seconds);
    tokio::select! {
        ended = open.join_next() => bail!("a connection ended: {ended:?}"),
        () = sleep_until(end) => {}
    }
    let spent = process::processor_time(server.pid)? - spent;
    let memory = process::memory(server.pid)?;
    let each = megabytes(memory.saturating_sub(before)) * 1024.0 / f64::from(u32::try_from(connections)?);
    Ok(Outcome {
        scenario: "hold",
        connections,
        connected_in_s: rounded(connected_in),
        memory_mb: rounded(megabytes(memory)),
        kb_per_connection: rounded(each),
        cpu_percent: rounded(spent / 1e4 / f64::from(u32::try_from(seconds)?)),
    })
}

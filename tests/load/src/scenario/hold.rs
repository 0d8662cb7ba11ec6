//! Connections that idle, with the heart-beats of their protocol.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::{
    crowd,
    outcome::{Better, Outcome, Unit},
    process,
    report::rounded,
    scenario::{Run, fan_out::megabytes},
    target::Target,
};

/// What `hold` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
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

/// Measures.
pub(crate) async fn run(arguments: &Arguments, run: &Run) -> Result<Outcome> {
    let &Arguments { ref target, connections, heart_beat, seconds } = arguments;
    let pid = target.pid.context("--pid is missing")?;
    let heart_beat = Duration::from_secs(heart_beat);
    let before = process::memory(pid)?;
    let started = Instant::now();
    let mut open = JoinSet::new();
    crowd::connect(target, connections, heart_beat, |client| {
        open.spawn(client.idle(heart_beat));
    })
    .await?;
    let connected_in = started.elapsed().as_secs_f64();
    let spent = process::processor_time(pid)?;
    let end = Instant::now() + Duration::from_secs(seconds);
    tokio::select! {
        ended = open.join_next() => bail!("a connection ended: {ended:?}"),
        () = sleep_until(end) => {}
    }
    let spent = process::processor_time(pid)? - spent;
    let memory = process::memory(pid)?;
    let each = megabytes(memory.saturating_sub(before)) * 1024.0 / f64::from(u32::try_from(connections)?);
    let settings = BTreeMap::from([
        ("connections".to_owned(), connections.to_string()),
        ("heart-beat".to_owned(), heart_beat.as_secs().to_string()),
        ("seconds".to_owned(), seconds.to_string()),
    ]);
    let method = "all connections are opened, then idle; memory is what the process grew by";
    let mut outcome = run.outcome("hold", target, method, settings)?;
    let processor = spent / 1e4 / f64::from(u32::try_from(seconds)?);
    let mut figure = |name, value, unit, better| outcome.figure(name, rounded(value), unit, better);
    figure("connected_in", connected_in, Unit::Seconds, Better::Lower);
    figure("memory_mb", megabytes(memory), Unit::Count, Better::Lower);
    figure("kb_per_connection", each, Unit::Count, Better::Lower);
    figure("cpu", processor, Unit::Percent, Better::Lower);
    Ok(outcome)
}

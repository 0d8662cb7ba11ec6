//! Messages that come back: every client subscribes to what it publishes
//! itself, one message at a time.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use tokio::time::{Instant, timeout};

use crate::{
    legacy::Client,
    outcome::{Better, Outcome, Unit},
    process,
    report::rounded,
    scenario::Run,
    target::Target,
};

/// What `echo` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Round trips that are measured
    #[arg(long, default_value_t = 20_000)]
    messages: u32,
    /// Bytes of a message
    #[arg(long, default_value_t = 200)]
    size: usize,
}

/// Measures.
pub(crate) async fn run(arguments: &Arguments, run: &Run) -> Result<Outcome> {
    let Arguments { target, messages, size } = arguments;
    let pid = target.pid.context("--pid is missing")?;
    let mut client = Client::connect(&target.url, target.protocol, 0, Duration::ZERO).await?;
    client.subscribe().await?;
    let body = ["x".repeat(*size)];
    let mut started = (Instant::now(), 0.0);
    let warm_up = messages / 10;
    run.progress.begin("echo", Some(u64::from(warm_up + messages)));
    for number in 0..warm_up + messages {
        if number == warm_up {
            started = (Instant::now(), process::processor_time(pid)?);
        }
        client.publish(&body).await?;
        timeout(target.patience, client.delivery()).await.context("a message did not come back")??;
        run.progress.advance(1);
    }
    let elapsed = started.0.elapsed().as_secs_f64();
    let spent = process::processor_time(pid)? - started.1;
    let settings = BTreeMap::from([
        ("messages".to_owned(), messages.to_string()),
        ("size".to_owned(), size.to_string()),
    ]);
    let method = "closed loop: the next message is sent when the one before is back";
    let mut outcome = run.outcome("echo", target, method, settings)?;
    let each = rounded(spent / f64::from(*messages));
    outcome.figure("cpu_per_message_us", each, Unit::Microseconds, Better::Lower);
    let rate = (f64::from(*messages) / elapsed).round();
    outcome.figure("round_trips_per_second", rate, Unit::PerSecond, Better::Higher);
    Ok(outcome)
}

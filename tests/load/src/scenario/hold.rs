//! `hold`: connections that idle, with or without heart-beats.

use std::pin::pin;
use std::time::Duration;

use anyhow::Result;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::client::connection::Connector;
use crate::client::messenger::{Incoming, Messenger};
use crate::client::web_socket::Closed;
use crate::cost::Cost;
use crate::outcome::{Better, Close, Outcome, Unit};
use crate::record::{number, settings};
use crate::scenario::Run;
use crate::scenario::messaging::Messaging;
use crate::target::{Target, duration};
use crate::{crowd, descriptors};

/// What `hold` is told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Connections
    #[arg(long, short = 'n', default_value_t = 10_000)]
    connections: usize,
    /// How long to hold them all, from when the last is open
    #[arg(long = "for", value_name = "DURATION", default_value = "30s", value_parser = duration)]
    duration: Duration,
    #[command(flatten)]
    messaging: Messaging,
}

/// A connection that ended by itself.
struct Ended {
    closed: Closed,
    opened: Instant,
    quiet_since: Instant,
}

/// Measures.
pub(crate) async fn run(arguments: &Arguments, run: &Run) -> Result<Outcome> {
    let Arguments { target, connections, duration, messaging } = arguments;
    descriptors::provide(*connections)?;
    let connector = Connector::for_target(target).await?;
    let options = messaging.options(target.protocol);
    let before = Cost::from_now(target.pid)?;
    let began = Instant::now();
    let (mut open, mut failures) = (JoinSet::new(), Vec::new());
    run.progress.begin("connecting", *connections);
    crowd::connect(&connector, 0..*connections, &options, run, |joined| match joined {
        Ok((client, opened)) => drop(open.spawn(idle(client, opened))),
        Err(failure) => failures.push(failure),
    })
    .await?;
    let connected_in = began.elapsed();
    let idle = Cost::from_now(target.pid)?;
    let opened = open.len();
    run.progress.begin_for("holding", *duration);
    let holding = Instant::now();
    let ended = hold(&mut open, *duration, run).await?;
    let held = holding.elapsed();
    let settings = settings([
        ("connections", connections.to_string()),
        ("for", format!("{duration:?}")),
        ("heart-beat", format!("{:?}", messaging.heart_beat)),
    ]);
    let method =
        "all connections are opened, then idle; memory is what the process grew by, divided among them";
    let mut outcome = run.outcome("hold", target, method, settings)?;
    outcome.figure("connections", number(u64::try_from(opened)?), Unit::Count, Better::Neither);
    outcome.figure("connected_in", connected_in.as_secs_f64(), Unit::Seconds, Better::Lower);
    outcome.figure("ended", number(u64::try_from(ended.len())?), Unit::Count, Better::Lower);
    if let Some(before) = before {
        before.note_memory(&mut outcome, u64::try_from(opened)?)?;
    }
    if let Some(idle) = idle {
        // A hundredth of one core is 10,000 µs a second.
        let percent = idle.processor()? / 1e4 / held.as_secs_f64().max(0.001);
        outcome.figure("cpu", percent, Unit::Percent, Better::Lower);
    }
    open.shutdown().await;
    for failure in &failures {
        outcome.error(&failure.name());
    }
    // The time of a service that runs faster than clocks.
    let scaled = |time: Duration| time.as_secs_f64() * target.time_scale;
    for Ended { closed, opened, quiet_since } in &ended {
        outcome.closes.push(Close {
            at: closed.at.saturating_duration_since(run.started).as_secs_f64(),
            age: scaled(closed.at.saturating_duration_since(*opened)),
            idle: scaled(closed.at.saturating_duration_since(*quiet_since)),
            how: closed.how.kind().into_owned(),
            code: Some(closed.how.browser_code()),
            target: None,
        });
    }
    let measured = format!("{opened} of {connections}");
    outcome.expect("connections open", connections.to_string(), measured, opened == *connections);
    let measured = format!("{} ended", ended.len());
    outcome.expect("connections stay open", "all", measured, ended.is_empty() && opened > 0);
    Ok(outcome)
}

/// Waits to the end, and collects connections that end earlier.
async fn hold(open: &mut JoinSet<Ended>, duration: Duration, run: &Run) -> Result<Vec<Ended>, JoinError> {
    let mut ended = Vec::new();
    let mut over = pin!(run.wait(duration));
    loop {
        tokio::select! {
            // Those that have ended count even at the end.
            biased;
            one = open.join_next() => match one {
                Some(one) => {
                    ended.push(one?);
                    run.progress.closed();
                    run.progress.failed();
                }
                None => return Ok(ended),
            },
            () = &mut over => return Ok(ended),
        }
    }
}

/// Beats and listens until the connection ends.
async fn idle(mut client: Messenger, opened: Instant) -> Ended {
    let mut heard = opened;
    loop {
        match client.next().await {
            Incoming::Closed(closed) => {
                let quiet_since = client.beaten().map_or(heard, |beaten| beaten.max(heard));
                return Ended { closed, opened, quiet_since };
            }
            Incoming::Delivery(_) | Incoming::HeartBeat => heard = Instant::now(),
        }
    }
}

//! `echo`: messages that come back to their sender, one at a time.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, timeout};

use crate::client::connection::Connector;
use crate::client::failure::Failure;
use crate::client::messenger::{Incoming, Messenger};
use crate::cost::Cost;
use crate::mark::{self, Mark};
use crate::outcome::{Better, Outcome, Unit};
use crate::record::{Times, number, settings};
use crate::scenario::Run;
use crate::scenario::messaging::Messaging;
use crate::target::Target;

/// What `echo` is told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Round trips that are measured, after a tenth as many that are not
    #[arg(long, default_value_t = 20_000)]
    messages: u32,
    /// Bytes of a message
    #[arg(long, default_value_t = 200)]
    size: usize,
    #[command(flatten)]
    messaging: Messaging,
}

/// Measures.
pub(crate) async fn run(arguments: &Arguments, run: &Run) -> Result<Outcome> {
    let Arguments { target, messages, size, messaging } = arguments;
    let connector = Connector::for_target(target).await?;
    let mut times = Times::try_new()?;
    let warm_up = messages / 10;
    let mut cost = None;
    let mut started = Instant::now();
    run.progress.begin("round trips", usize::try_from(warm_up + messages)?);
    let measuring = async {
        let mut client = Messenger::connect(&connector, 0, &messaging.options(target.protocol)).await?;
        client.subscribe().await?;
        let id = rand::random();
        for number in 0..warm_up + messages {
            if run.stop.is_cancelled() {
                break;
            }
            if number == warm_up {
                times.clear();
                cost = Cost::from_now(target.pid)?;
                started = Instant::now();
            }
            let sent = Instant::now();
            let mark = Mark { run: id, number, sent: Duration::ZERO };
            client.queue(&mark::body(mark, *size)).await.map_err(Failure::from)?;
            client.flush().await.map_err(Failure::from)?;
            let back = come_back(&mut client, mark);
            timeout(connector.patience(), back).await.unwrap_or(Err(Failure::TimedOut))?;
            let trip = sent.elapsed();
            times.record(trip);
            run.progress.answered(trip);
            run.progress.advance();
        }
        anyhow::Ok(())
    };
    let failure = match measuring.await {
        Ok(()) => None,
        Err(error) => Some(error.downcast::<Failure>()?),
    };
    let seconds = started.elapsed().as_secs_f64().max(0.001);
    let method = "closed loop: one client, one message at a time, from sending to coming back";
    let settings = settings([("messages", messages.to_string()), ("size", size.to_string())]);
    let mut outcome = run.outcome("echo", target, method, settings)?;
    outcome.figure(
        "round_trips_per_second",
        number(times.count()) / seconds,
        Unit::PerSecond,
        Better::Higher,
    );
    times.note(&mut outcome, "round trip", "");
    if let (Some(cost), None) = (cost, &failure) {
        cost.note_each(&mut outcome, "cpu_per_message_us", (*messages).into())?;
    }
    if let Some(failure) = &failure {
        outcome.error(&failure.name());
    }
    let measured = failure.as_ref().map_or_else(|| "all".to_owned(), ToString::to_string);
    outcome.expect("messages come back", "all", measured, failure.is_none());
    Ok(outcome)
}

async fn come_back(client: &mut Messenger, mark: Mark) -> Result<(), Failure> {
    loop {
        match client.next().await {
            Incoming::Delivery(bytes) if mark::marks(&bytes).any(|found| found == mark) => return Ok(()),
            Incoming::Delivery(_) | Incoming::HeartBeat => {}
            Incoming::Closed(closed) => return Err(closed.into()),
        }
    }
}

//! `fan-out`: one publisher, many subscribers.
//!
//! Without a rate a burst of messages is published when all subscribers have the
//! one before, so that the service is never behind: this measures its cost, not
//! its limit. At a rate messages are due at fixed moments.

mod tally;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::connection::Connector;
use crate::client::failure::Failure;
use crate::client::messenger::{Incoming, Messenger};
use crate::client::web_socket::Closed;
use crate::cost::Cost;
use crate::ending::misused;
use crate::mark::{self, Mark, Seen};
use crate::outcome::Outcome;
use crate::pace::{self, Pace};
use crate::record::settings;
use crate::scenario::Run;
use crate::scenario::messaging::Messaging;
use crate::target::{Protocol, Target, duration};
use crate::{crowd, descriptors};

use tally::Shared;

/// Messages that may wait for the publisher's connection.
const WAITING: usize = 1024;

/// What `fan-out` is told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Subscribers
    #[arg(long, default_value_t = 1000)]
    subscribers: usize,
    /// Messages a second; without it a burst follows when all have the one before
    #[arg(long, value_name = "PER_SECOND", value_parser = pace::rate)]
    rate: Option<f64>,
    /// How long to publish at the rate
    #[arg(long = "for", value_name = "DURATION", default_value = "10s", value_parser = duration, requires = "rate")]
    duration: Duration,
    /// Bursts that are measured
    #[arg(long, default_value_t = 50, conflicts_with = "rate")]
    bursts: u32,
    /// Messages of a burst
    #[arg(long, default_value_t = 1, conflicts_with = "rate")]
    burst: u32,
    /// Bursts before the measurement
    #[arg(long, default_value_t = 10, conflicts_with = "rate")]
    warm_up: u32,
    /// Bytes of a message
    #[arg(long, default_value_t = 200)]
    size: usize,
    #[command(flatten)]
    messaging: Messaging,
}

/// What was published, and how that ended.
struct Published {
    messages: u64,
    seconds: f64,
    cost: Option<Cost>,
    late: Option<u64>,
    problem: Option<String>,
}

/// Measures.
pub(crate) async fn run(arguments: &Arguments, run: &Run) -> Result<Outcome> {
    let Arguments { target, subscribers, messaging, .. } = arguments;
    if target.protocol == Protocol::Plain {
        return Err(misused("fan-out takes a --protocol that has subscribers"));
    }
    descriptors::provide(subscribers + 1)?;
    let connector = Connector::for_target(target).await?;
    let options = messaging.options(target.protocol);
    let shared = Arc::new(Shared::try_new(Instant::now(), run.progress.clone())?);
    let (mut readers, mut failures) = (JoinSet::new(), Vec::new());
    run.progress.begin("subscribing", *subscribers);
    crowd::connect(&connector, 0..*subscribers, &options, run, |joined| match joined {
        Ok((client, _)) => drop(readers.spawn(read(client, Arc::clone(&shared)))),
        Err(failure) => failures.push(failure),
    })
    .await?;
    let joined = u64::try_from(readers.len())?;
    let published = match Messenger::connect(&connector, *subscribers, &options).await {
        Ok(client) => {
            let (bodies, sent) = mpsc::channel(WAITING);
            readers.spawn(write(client, sent, Arc::clone(&shared)));
            publish(arguments, &connector, &shared, joined, bodies, run).await?
        }
        Err(failure) => Published::nothing(&failure),
    };
    readers.shutdown().await;
    let method = match arguments.rate {
        Some(rate) => Pace::method(Some(rate)),
        None => {
            "closed loop: a burst is published when every subscriber has the one before; a latency counts \
             from when the burst was handed over"
                .to_owned()
        }
    };
    let settings = settings([
        ("burst", arguments.burst.to_string()),
        ("rate", arguments.rate.map_or_else(|| "burst by burst".to_owned(), |rate| format!("{rate}/s"))),
        ("size", arguments.size.to_string()),
        ("subscribers", subscribers.to_string()),
    ]);
    let mut outcome = run.outcome("fan-out", target, &method, settings)?;
    for failure in &failures {
        outcome.error(&failure.name());
    }
    tally::note(&mut outcome, *subscribers, joined, &shared.tally.lock(), &published)?;
    Ok(outcome)
}

/// Counts what one subscriber gets.
async fn read(mut client: Messenger, shared: Arc<Shared>) {
    let mut seen = Seen::default();
    loop {
        match client.next().await {
            Incoming::Delivery(bytes) => {
                let now = Instant::now();
                for mark in mark::marks(&bytes).filter(|mark| mark.run == shared.id) {
                    shared.delivered(mark, seen.note(mark.number), now);
                }
            }
            Incoming::HeartBeat => {}
            Incoming::Closed(closed) => return shared.ended(closed.how.name()),
        }
    }
}

/// Sends what is published, and reads meanwhile: a publisher has heart-beats, and
/// may be sent its own messages.
async fn write(mut client: Messenger, mut bodies: mpsc::Receiver<String>, shared: Arc<Shared>) {
    if let Err(closed) = write_all(&mut client, &mut bodies).await {
        shared.tally.lock().publisher = Some(closed.how.to_string());
        shared.arrived.notify_one();
    }
}

async fn write_all(client: &mut Messenger, bodies: &mut mpsc::Receiver<String>) -> Result<(), Closed> {
    loop {
        let body = tokio::select! {
            body = bodies.recv() => body,
            incoming = client.next() => match incoming {
                Incoming::Closed(closed) => return Err(closed),
                Incoming::Delivery(_) | Incoming::HeartBeat => continue,
            },
        };
        let Some(body) = body else {
            // All is published; what the publisher is sent is read to the end of the run.
            loop {
                if let Incoming::Closed(closed) = client.next().await {
                    return Err(closed);
                }
            }
        };
        client.queue(&body).await?;
        while let Ok(body) = bodies.try_recv() {
            client.queue(&body).await?;
        }
        client.flush().await?;
    }
}

async fn publish(
    arguments: &Arguments,
    connector: &Connector,
    shared: &Shared,
    subscribers: u64,
    bodies: mpsc::Sender<String>,
    run: &Run,
) -> Result<Published> {
    match arguments.rate {
        Some(rate) => at_rate(arguments, connector, shared, subscribers, bodies, (rate, run)).await,
        None => in_bursts(arguments, connector, shared, subscribers, bodies, run).await,
    }
}

async fn at_rate(
    arguments: &Arguments,
    connector: &Connector,
    shared: &Shared,
    subscribers: u64,
    bodies: mpsc::Sender<String>,
    (rate, run): (f64, &Run),
) -> Result<Published> {
    let began = Instant::now();
    let pace = Pace::new(began, arguments.duration, Some(rate), connector.patience(), run.stop.clone());
    let cost = Cost::from_now(arguments.target.pid)?;
    let mut published = Published { messages: 0, seconds: 0.0, cost, late: None, problem: None };
    run.progress.begin_for("publishing", arguments.duration);
    for number in 0.. {
        let Some(start) = pace.next().await else { break };
        let sent = start.counted_from.saturating_duration_since(shared.start);
        let body = mark::body(Mark { run: shared.id, number, sent }, arguments.size);
        published.messages += 1;
        if bodies.send(body).await.is_err() {
            break;
        }
    }
    let all = shared.wait_for(published.messages * subscribers, connector.patience());
    published.problem = all.await.err();
    published.seconds = began.elapsed().as_secs_f64();
    published.late = Some(pace.late() + pace.missed());
    Ok(published)
}

async fn in_bursts(
    arguments: &Arguments,
    connector: &Connector,
    shared: &Shared,
    subscribers: u64,
    bodies: mpsc::Sender<String>,
    run: &Run,
) -> Result<Published> {
    let &Arguments { bursts, burst, warm_up, size, .. } = arguments;
    let mut began = Instant::now();
    let mut published = Published { messages: 0, seconds: 0.0, cost: None, late: None, problem: None };
    let mut number = 0;
    run.progress.begin("publishing", usize::try_from(warm_up + bursts)?);
    for round in 0..warm_up + bursts {
        if run.stop.is_cancelled() {
            break;
        }
        if round == warm_up {
            let mut tally = shared.tally.lock();
            (tally.deliveries, published.messages) = (0, 0);
            tally.latency.clear();
            published.cost = Cost::from_now(arguments.target.pid)?;
            began = Instant::now();
        }
        for _ in 0..burst {
            let sent = shared.start.elapsed();
            number += 1;
            published.messages += 1;
            if bodies.send(mark::body(Mark { run: shared.id, number, sent }, size)).await.is_err() {
                break;
            }
        }
        let all = shared.wait_for(published.messages * subscribers, connector.patience());
        published.problem = all.await.err();
        if published.problem.is_some() {
            break;
        }
        run.progress.advance();
    }
    published.seconds = began.elapsed().as_secs_f64();
    Ok(published)
}

impl Published {
    fn nothing(failure: &Failure) -> Self {
        let problem = Some(format!("the publisher cannot connect: {failure}"));
        Self { messages: 0, seconds: 0.0, cost: None, late: None, problem }
    }
}

//! One publisher, many subscribers.
//!
//! A burst of messages is published when all subscribers have the one before,
//! so that the server is never behind: this measures its cost, not its limit.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::{
    crowd,
    legacy::Client,
    outcome::{Better, Outcome, Unit},
    process,
    report::rounded,
    scenario::Run,
    target::Target,
};

/// What `fan-out` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Subscribers
    #[arg(long, default_value_t = 1000)]
    subscribers: usize,
    /// Bursts that are measured
    #[arg(long, default_value_t = 50)]
    bursts: usize,
    /// Messages of a burst
    #[arg(long, default_value_t = 1)]
    burst: usize,
    /// Bytes of a message
    #[arg(long, default_value_t = 200)]
    size: usize,
    /// Bursts before the measurement
    #[arg(long, default_value_t = 10)]
    warm_up: usize,
}

/// Measures.
pub(crate) async fn run(arguments: &Arguments, run: &Run) -> Result<Outcome> {
    let &Arguments { ref target, subscribers, bursts, burst, size, warm_up } = arguments;
    let pid = target.pid.context("--pid is missing")?;
    let (told, mut deliveries) = mpsc::channel(subscribers.max(1));
    let mut readers = JoinSet::new();
    crowd::connect(target, subscribers, Duration::ZERO, |mut client| {
        let told = told.clone();
        readers.spawn(async move {
            loop {
                client.delivery().await?;
                if told.send(()).await.is_err() {
                    return anyhow::Ok(());
                }
            }
        });
    })
    .await?;
    let mut publisher = Client::connect(&target.url, target.protocol, 0, Duration::ZERO).await?;
    let bodies = vec!["x".repeat(size); burst];
    let mut times = Histogram::<u64>::new(3)?;
    let mut started = (Instant::now(), 0.0);
    for number in 0..warm_up + bursts {
        if number == warm_up {
            started = (Instant::now(), process::processor_time(pid)?);
            times.reset();
        }
        let sent = Instant::now();
        publisher.publish(&bodies).await?;
        let all = async {
            for _ in 0..subscribers * burst {
                deliveries.recv().await.context("all readers ended")?;
            }
            anyhow::Ok(())
        };
        tokio::select! {
            received = timeout(target.patience, all) => received.context("deliveries are missing")??,
            ended = readers.join_next() => ended.context("no readers")?.context("a reader")??,
        }
        times.record(u64::try_from(sent.elapsed().as_micros())?)?;
    }
    let elapsed = started.0.elapsed().as_secs_f64();
    let spent = process::processor_time(pid)? - started.1;
    let count = subscribers * burst * bursts;
    ensure!(spent > 0.0, "too few deliveries to measure processor time");
    let deliveries = f64::from(u32::try_from(count)?);
    let settings = BTreeMap::from([
        ("subscribers".to_owned(), subscribers.to_string()),
        ("bursts".to_owned(), bursts.to_string()),
        ("burst".to_owned(), burst.to_string()),
        ("size".to_owned(), size.to_string()),
    ]);
    let method = "closed loop: a burst is published when all subscribers have the one before";
    let mut outcome = run.outcome("fan-out", target, method, settings)?;
    let mut figure = |name, value, unit, better| outcome.figure(name, rounded(value), unit, better);
    figure("deliveries", deliveries, Unit::Count, Better::Neither);
    figure("cpu_per_delivery_us", spent / deliveries, Unit::Microseconds, Better::Lower);
    figure("deliveries_per_second", (deliveries / elapsed).round(), Unit::PerSecond, Better::Higher);
    figure("p50", milliseconds(times.value_at_quantile(0.5)), Unit::Milliseconds, Better::Lower);
    figure("p99", milliseconds(times.value_at_quantile(0.99)), Unit::Milliseconds, Better::Lower);
    figure("memory_mb", megabytes(process::memory(pid)?), Unit::Count, Better::Lower);
    Ok(outcome)
}

fn milliseconds(microseconds: u64) -> f64 {
    Duration::from_micros(microseconds).as_secs_f64() * 1000.0
}

pub(crate) fn megabytes(bytes: u64) -> f64 {
    u32::try_from(bytes / 1024).map_or(f64::INFINITY, f64::from) / 1024.0
}

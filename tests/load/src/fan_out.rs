//! One publisher, many subscribers.
//!
//! A burst of messages is published when all subscribers have the one before,
//! so that the server is never behind: this measures its cost, not its limit.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::legacy::Client;
use crate::report::rounded;
use crate::{Server, crowd, process};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    server: Server,
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

#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    scenario: &'static str,
    subscribers: usize,
    burst: usize,
    deliveries: usize,
    /// Of the server, in microseconds.
    cpu_per_delivery_us: f64,
    deliveries_per_second: f64,
    /// From publishing a burst to its last delivery, in milliseconds.
    p50_ms: f64,
    p99_ms: f64,
    memory_mb: f64,
}

pub(crate) async fn run(arguments: Arguments) -> Result<Outcome> {
    let Arguments { server, subscribers, bursts, burst, size, warm_up } = arguments;
    let (told, mut deliveries) = mpsc::channel(subscribers.max(1));
    let mut readers = JoinSet::new();
    crowd::connect(&server, subscribers, Duration::ZERO, |mut client| {
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
    let mut publisher = Client::connect(&server.url, server.protocol, 0, Duration::ZERO).await?;
    let bodies = vec!["x".repeat(size); burst];
    let mut times = Histogram::<u64>::new(3)?;
    let mut started = (Instant::now(), 0.0);
    for number in 0..warm_up + bursts {
        if number == warm_up {
            started = (Instant::now(), process::processor_time(server.pid)?);
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
            received = timeout(server.patience(), all) => received.context("deliveries are missing")??,
            ended = readers.join_next() => ended.context("no readers")?.context("a reader")??,
        }
        times.record(u64::try_from(sent.elapsed().as_micros())?)?;
    }
    let elapsed = started.0.elapsed().as_secs_f64();
    let spent = process::processor_time(server.pid)? - started.1;
    let count = subscribers * burst * bursts;
    ensure!(spent > 0.0, "too few deliveries to measure processor time");
    let deliveries = f64::from(u32::try_from(count)?);
    Ok(Outcome {
        scenario: "fan-out",
        subscribers,
        burst,
        deliveries: count,
        cpu_per_delivery_us: rounded(spent / deliveries),
        deliveries_per_second: (deliveries / elapsed).round(),
        p50_ms: rounded(milliseconds(times.value_at_quantile(0.5))),
        p99_ms: rounded(milliseconds(times.value_at_quantile(0.99))),
        memory_mb: rounded(megabytes(process::memory(server.pid)?)),
    })
}

fn milliseconds(microseconds: u64) -> f64 {
    Duration::from_micros(microseconds).as_secs_f64() * 1000.0
}

pub(crate) fn megabytes(bytes: u64) -> f64 {
    u32::try_from(bytes / 1024).map_or(f64::INFINITY, f64::from) / 1024.0
}

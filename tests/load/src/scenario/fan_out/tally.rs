//! What subscribers get, counted together, and what is told of it.

use std::time::Duration;

use anyhow::Result;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::Published;
use crate::mark::Mark;
use crate::outcome::{Better, Outcome, Unit};
use crate::progress::Progress;
use crate::record::{OverTime, Times, number};

/// What all subscribers count together.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) latency: Times,
    delivered: OverTime<&'static str>,
    pub(super) deliveries: u64,
    duplicates: u64,
    /// Whoever waits is told at this number of deliveries.
    awaited: u64,
    /// How subscribers ended.
    pub(super) ended: Vec<String>,
    /// How the publisher did.
    pub(super) publisher: Option<String>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) id: u32,
    pub(super) start: Instant,
    pub(super) tally: Mutex<Tally>,
    pub(super) arrived: Notify,
    progress: Progress,
}

impl Shared {
    /// Times count from `start`.
    ///
    /// # Errors
    /// Never.
    pub(super) fn try_new(start: Instant, progress: Progress) -> Result<Self> {
        let tally = Mutex::new(Tally {
            latency: Times::try_new()?,
            delivered: OverTime::new(start),
            deliveries: 0,
            duplicates: 0,
            awaited: u64::MAX,
            ended: Vec::new(),
            publisher: None,
        });
        Ok(Self { id: rand::random(), start, tally, arrived: Notify::new(), progress })
    }

    /// Counts a delivery, which is new or was there before.
    pub(super) fn delivered(&self, mark: Mark, is_new: bool, now: Instant) {
        let mut tally = self.tally.lock();
        if !is_new {
            tally.duplicates += 1;
            return;
        }
        let latency = now.saturating_duration_since(self.start + mark.sent);
        self.progress.answered(latency);
        tally.latency.record(latency);
        tally.delivered.count(&"deliveries", now);
        tally.deliveries += 1;
        if tally.deliveries == tally.awaited {
            self.arrived.notify_one();
        }
    }

    /// A subscriber's connection ended so.
    pub(super) fn ended(&self, how: String) {
        self.progress.closed();
        self.progress.failed();
        self.tally.lock().ended.push(how);
    }

    /// Waits until there were so many deliveries, or says why there will not be.
    pub(super) async fn wait_for(&self, deliveries: u64, patience: Duration) -> Result<(), String> {
        let arriving = async {
            loop {
                {
                    let mut tally = self.tally.lock();
                    if tally.deliveries >= deliveries {
                        return Ok(());
                    }
                    if let Some(how) = &tally.publisher {
                        return Err(format!("the publisher's connection ended: {how}"));
                    }
                    tally.awaited = deliveries;
                }
                self.arrived.notified().await;
            }
        };
        timeout(patience, arriving).await.unwrap_or_else(|_| Err("deliveries are missing".to_owned()))
    }
}

/// Notes what came of it.
pub(super) fn note(
    outcome: &mut Outcome,
    subscribers: usize,
    joined: u64,
    tally: &Tally,
    published: &Published,
) -> Result<()> {
    let subscribers = u64::try_from(subscribers)?;
    let due = published.messages * joined;
    let lost = due.saturating_sub(tally.deliveries);
    outcome.figure("messages", number(published.messages), Unit::Count, Better::Neither);
    outcome.figure("deliveries", number(tally.deliveries), Unit::Count, Better::Neither);
    let rate = number(tally.deliveries) / published.seconds.max(0.001);
    outcome.figure("deliveries_per_second", rate, Unit::PerSecond, Better::Higher);
    outcome.figure("lost", number(lost), Unit::Count, Better::Lower);
    outcome.figure("duplicates", number(tally.duplicates), Unit::Count, Better::Lower);
    if let Some(late) = published.late {
        outcome.figure("late_starts", number(late), Unit::Count, Better::Lower);
    }
    tally.latency.note(outcome, "delivery", "");
    outcome.series.extend(tally.delivered.series("deliveries"));
    if let Some(cost) = &published.cost {
        cost.note_each(outcome, "cpu_per_delivery_us", tally.deliveries)?;
    }
    for how in &tally.ended {
        outcome.error(how);
    }
    outcome.expect("subscribers", subscribers.to_string(), joined.to_string(), joined == subscribers);
    let stayed = joined.saturating_sub(u64::try_from(tally.ended.len())?);
    outcome.expect("subscribers stay", joined.to_string(), stayed.to_string(), stayed == joined);
    let problem = published.problem.clone().unwrap_or_else(|| "all were".to_owned());
    outcome.expect("messages are published", "all", problem, published.problem.is_none());
    outcome.expect("deliveries", due.to_string(), tally.deliveries.to_string(), lost == 0 && due > 0);
    outcome.expect("duplicates", "none", tally.duplicates.to_string(), tally.duplicates == 0);
    Ok(())
}

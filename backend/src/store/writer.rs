//! The one task that writes.
//!
//! It turns between three things: to write what waits, to let old messages go,
//! and to pause when the database failed. What it could not write stays in the
//! queue. At shutdown it writes what waits, for as long as it is given.

use std::collections::HashSet;
use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::Kept;
use super::database::Database;
use super::error::{Blame, blame};
use super::id::MessageId;
use super::queue::Queue;
use super::status::{Cause, Failure, Status};
use crate::config::StoreConfig;
use crate::metrics::StoreMetrics;

/// Bytes written together, about: a tenth of what MySQL takes in a packet.
const BATCH_BYTES: usize = 1 << 20;

/// First pause after a failure.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Destinations trimmed in one turn, between two writes.
const TRIMMED_AT_ONCE: usize = 50;

/// Longest time to close the database.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Writes the messages of a queue.
pub(super) struct Writer {
    database: Database,
    queue: Arc<Queue>,
    config: StoreConfig,
    metrics: StoreMetrics,
    status: watch::Sender<Status>,
    /// Whether the tables are there, as far as is known.
    created: bool,
    /// Failures in a row.
    failures: u32,
    /// When old messages go next.
    prune_at: Instant,
    /// Destinations that got messages since they were trimmed.
    grown: HashSet<String>,
}

impl Writer {
    pub(super) fn new(
        database: Database,
        queue: Arc<Queue>,
        config: StoreConfig,
        metrics: StoreMetrics,
        status: watch::Sender<Status>,
    ) -> Self {
        Self {
            database,
            queue,
            config,
            metrics,
            status,
            created: false,
            failures: 0,
            prune_at: Instant::now(),
            grown: HashSet::new(),
        }
    }

    /// Writes until `closing` and then what is left, for at most the flush
    /// timeout.
    pub(super) async fn run(mut self, closing: CancellationToken) {
        let flush_timeout = self.config.flush_timeout;
        let over = async {
            closing.cancelled().await;
            sleep(flush_timeout).await;
        };
        tokio::select! {
            () = over => {}
            () = self.work(&closing) => {}
        }
        self.leave().await;
    }

    async fn leave(self) {
        let lost = self.queue.close();
        if lost > 0 {
            self.metrics.dropped.with_label_values(&["shutdown"]).inc_by(number(lost));
            tracing::error!(messages = lost, "messages were not stored before the end");
        }
        if timeout(CLOSE_TIMEOUT, self.database.close()).await.is_err() {
            tracing::debug!("database not closed in time");
        }
    }

    async fn work(&mut self, closing: &CancellationToken) {
        while !closing.is_cancelled() || self.queue.len() > 0 {
            tokio::select! {
                () = self.gathered() => {}
                () = sleep_until(self.prune_at) => {}
                () = closing.cancelled() => {}
            }
            let turned = self.turn(closing).await;
            self.metrics.queue_messages.set(signed(self.queue.len()));
            self.metrics.queue_bytes.set(signed(self.queue.bytes()));
            match turned {
                Ok(()) => self.succeeded(),
                Err(failure) => {
                    self.failed(failure);
                    self.pause(closing).await;
                }
            }
        }
    }

    /// Waits for a message, and then a little for others.
    async fn gathered(&self) {
        self.queue.filled(1).await;
        let full = self.queue.filled(self.config.batch_messages);
        // Not a failure: the batch is smaller.
        timeout(self.config.batch_time, full).await.unwrap_or_default();
    }

    /// Writes a batch, and prunes when it is time.
    async fn turn(&mut self, closing: &CancellationToken) -> Result<(), Failure> {
        if !self.created {
            in_time(self.config.timeout, self.database.create())
                .await
                .map_err(|e| self.counted("write", &e))?;
            self.created = true;
        }
        let batch = self.queue.front(BATCH_BYTES);
        if !batch.is_empty() {
            self.write(&batch).await?;
        }
        if !closing.is_cancelled() && Instant::now() >= self.prune_at {
            self.prune_at = Instant::now() + self.config.check_interval;
            if self.prune().await.map_err(|e| self.counted("prune", &e))? {
                self.prune_at = Instant::now();
            }
        }
        Ok(())
    }

    async fn write(&mut self, batch: &[Arc<Kept>]) -> Result<(), Failure> {
        let timer = self.metrics.write_time.start_timer();
        match in_time(self.config.timeout, self.database.insert(batch)).await {
            Ok(()) => {
                timer.observe_duration();
                self.written(batch);
                Ok(())
            }
            Err(error) => {
                timer.stop_and_discard();
                match blame(&error) {
                    Blame::Message => self.write_one_by_one(batch).await,
                    Blame::Database(cause) => {
                        if cause == Cause::Full {
                            // Room may be made by letting the oldest go.
                            self.prune_at = Instant::now();
                            self.make_room().await;
                        }
                        Err(self.counted("write", &error))
                    }
                }
            }
        }
    }

    /// Finds the message that the database does not take, and drops it.
    async fn write_one_by_one(&mut self, batch: &[Arc<Kept>]) -> Result<(), Failure> {
        for message in batch {
            let one = std::slice::from_ref(message);
            match in_time(self.config.timeout, self.database.insert(one)).await {
                Ok(()) => self.written(one),
                Err(error) if blame(&error) == Blame::Message => {
                    self.queue.remove(1);
                    self.metrics.dropped.with_label_values(&["rejected"]).inc();
                    let destination = &message.message.destination;
                    tracing::warn!(
                        destination,
                        error = &error as &dyn std::error::Error,
                        "message not stored"
                    );
                }
                Err(error) => return Err(self.counted("write", &error)),
            }
        }
        Ok(())
    }

    fn written(&mut self, batch: &[Arc<Kept>]) {
        self.queue.remove(batch.len());
        self.metrics.stored.inc_by(number(batch.len()));
        for kept in batch {
            if !self.grown.contains(&kept.message.destination) {
                self.grown.insert(kept.message.destination.clone());
            }
        }
    }

    /// Lets some old messages go; true when there may be more. At least one
    /// question is asked, so that a database which is away is noticed.
    async fn prune(&mut self) -> Result<bool, sqlx::Error> {
        let limit = self.config.timeout;
        let oldest = milliseconds(SystemTime::now()).saturating_sub(millis(self.config.retention_age));
        let mut more = in_time(limit, self.database.prune_before(MessageId::earliest(oldest))).await?;
        more += in_time(limit, self.database.prune_size()).await?;
        let due: Vec<_> = self.grown.iter().take(TRIMMED_AT_ONCE).cloned().collect();
        for destination in due {
            let keep = self.config.retention_messages;
            let trimmed = in_time(limit, self.database.prune_destination(&destination, keep)).await?;
            if trimmed == 0 {
                self.grown.remove(&destination);
            }
            more += trimmed;
        }
        self.metrics.pruned.inc_by(more);
        Ok(more > 0 || self.grown.len() >= TRIMMED_AT_ONCE)
    }

    async fn make_room(&self) {
        match in_time(self.config.timeout, self.database.prune_size()).await {
            Ok(pruned) => self.metrics.pruned.inc_by(pruned),
            Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "no room made"),
        }
    }

    fn counted(&self, operation: &'static str, error: &sqlx::Error) -> Failure {
        self.metrics.errors.with_label_values(&[operation]).inc();
        let cause = match blame(error) {
            Blame::Database(cause) => cause,
            Blame::Message => Cause::Failed,
        };
        let text = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        Failure { cause, error: text }
    }

    fn succeeded(&mut self) {
        self.failures = 0;
        self.metrics.up.set(1);
        let queue = &self.queue;
        if let Some(dropped) = queue.relieved() {
            tracing::info!(dropped, "messages are stored again, the queue has room");
        }
        let up = |status: &mut Status| {
            let was = std::mem::replace(status, Status::Up);
            match &was {
                Status::Down(_) => tracing::info!(waiting = queue.len(), "message store is up again"),
                Status::Starting => tracing::info!("message store is up"),
                Status::Off | Status::Up => {}
            }
            was != Status::Up
        };
        self.status.send_if_modified(up);
    }

    /// Logs a failure when it is news, not at each attempt.
    fn failed(&mut self, failure: Failure) {
        self.failures = self.failures.saturating_add(1);
        // It may come back as another database.
        self.created = false;
        self.metrics.up.set(0);
        self.status.send_if_modified(|status| {
            let known = matches!(status, Status::Down(known) if known.cause == failure.cause);
            if !known {
                let Failure { cause, error } = &failure;
                tracing::error!(cause = cause.as_str(), error, "message store is down, messages wait");
            }
            *status = Status::Down(failure);
            !known
        });
    }

    /// Waits longer after each failure in a row; a part of it by chance, so that
    /// instances do not come back to their database together.
    async fn pause(&mut self, closing: &CancellationToken) {
        let doubled = RETRY_INTERVAL.saturating_mul(1 << self.failures.saturating_sub(1).min(16));
        let pause = doubled.min(self.config.retry_interval).mul_f64(rand::random_range(0.5..1.0));
        if closing.is_cancelled() {
            // There is an end to this: a try now and then.
            sleep(pause.min(RETRY_INTERVAL)).await;
            return;
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = closing.cancelled() => {}
        }
        // Tries even if nothing waits.
        self.prune_at = Instant::now();
    }
}

/// An operation that takes too long failed as if the database were away.
async fn in_time<T>(
    limit: Duration,
    operation: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(limit, operation).await.unwrap_or_else(|_| {
        let text = "no answer within store.timeout";
        Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, text)))
    })
}

fn milliseconds(time: SystemTime) -> u64 {
    millis(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

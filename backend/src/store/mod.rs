//! The message store: what was said in a room, for those who come later.
//!
//! SQLite in memory by default, SQLite in a file or MySQL by URL. Publishing
//! never waits for it: [`Store::record`] puts a message into a bounded queue,
//! from which one task writes in batches. While the database fails the queue
//! holds what fits, the rest is dropped from the store alone, and counted.

mod database;
mod error;
mod id;
mod mysql;
mod queue;
mod sqlite;
mod status;
mod writer;

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::StoreConfig;
use crate::metrics::StoreMetrics;

use database::Database;
pub use error::{OpenError, StoreError};
pub use id::{MessageId, MessageIdError};
use queue::{Limits, Queue};
pub use status::{Cause, Failure, Status};
use writer::Writer;

/// Largest body that is kept, in bytes: a batch must fit into the packets that
/// MySQL takes, whose default limit is 16 MiB and more.
const BODY_LIMIT: usize = 1 << 20;

/// Bodies of one page, in bytes: whoever reads slowly keeps so much of ours.
const PAGE_BYTES: usize = 4 << 20;

/// A message that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Where it was published, as `/topic/room.general`.
    pub destination: String,
    /// The `content-type`.
    pub content_type: String,
    /// The body.
    pub body: Bytes,
    /// When it was published, in milliseconds since 1970.
    pub timestamp: u64,
}

/// A message in the store, with its place in the order of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Sorts by time.
    pub id: MessageId,
    /// The message.
    pub message: Stored,
}

/// The store; by default it is off and keeps nothing.
#[derive(Debug, Default)]
pub struct Store {
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    config: StoreConfig,
    database: Database,
    queue: Arc<Queue>,
    metrics: StoreMetrics,
    status: watch::Receiver<Status>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl Store {
    /// Opens the store and starts its writer. Must be called within a Tokio
    /// runtime. Whether the database can be reached shows in the
    /// [`status`](Self::status).
    ///
    /// # Errors
    ///
    /// The URL cannot be understood.
    pub fn open(config: &StoreConfig, metrics: &StoreMetrics) -> Result<Self, OpenError> {
        if !config.enabled {
            return Ok(Self::default());
        }
        let database = Database::open(config)?;
        let limits = Limits {
            messages: config.queue_messages,
            bytes: config.queue_size,
            batch: config.batch_messages,
        };
        let queue = Arc::new(Queue::new(limits, rand::random()));
        let (sender, status) = watch::channel(Status::Starting);
        let closing = CancellationToken::new();
        let tasks = TaskTracker::new();
        let writer =
            Writer::new(database.clone(), Arc::clone(&queue), config.clone(), metrics.clone(), sender);
        tasks.spawn(writer.run(closing.clone()));
        tasks.close();
        let (config, metrics) = (config.clone(), metrics.clone());
        Ok(Self { open: Some(Open { config, database, queue, metrics, status, closing, tasks }) })
    }

    /// Whether messages are kept at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.open.is_some()
    }

    /// Keeps a message. Never waits: what cannot be queued is dropped and
    /// counted, and the store's health says so.
    pub fn record(&self, message: Stored) {
        let Some(open) = &self.open else { return };
        if message.body.len() > BODY_LIMIT {
            open.metrics.dropped.with_label_values(&["too_large"]).inc();
        } else if let Err(refused) = open.queue.push(message) {
            open.metrics.dropped.with_label_values(&["queue_full"]).inc();
            if refused == 1 {
                tracing::warn!(
                    waiting = open.queue.len(),
                    "queue of the message store is full, messages are dropped from it"
                );
            }
        }
    }

    /// The last messages of a destination, oldest first, at most `limit` and
    /// `store.history-limit`. Without a store there are none.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn history(&self, destination: &str, limit: usize) -> Result<Vec<Stored>, StoreError> {
        let page = self.page(destination, None, limit).await?;
        Ok(page.into_iter().map(|kept| kept.message).collect())
    }

    /// The last messages of a destination before an id, oldest first, at most
    /// `limit` and `store.history-limit`. Those that wait to be written are
    /// among them. Without a store there are none.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn page(
        &self,
        destination: &str,
        before: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Kept>, StoreError> {
        let Some(open) = &self.open else { return Ok(Vec::new()) };
        let limit = limit.min(open.config.history_limit);
        if limit == 0 {
            return Ok(Vec::new());
        }
        let page = timeout(open.config.timeout, open.page(destination, before, limit));
        page.await.unwrap_or(Err(StoreError::Timeout)).inspect_err(|error| {
            open.metrics.errors.with_label_values(&["read"]).inc();
            tracing::debug!(error = error as &dyn std::error::Error, "history cannot be read");
        })
    }

    /// Whether messages are being kept.
    #[must_use]
    pub fn status(&self) -> Status {
        self.monitor().map_or(Status::Off, |monitor| monitor.status())
    }

    /// Watches the store; None when it is off.
    #[must_use]
    pub fn monitor(&self) -> Option<Monitor> {
        let open = self.open.as_ref()?;
        let (queue, status) = (Arc::clone(&open.queue), open.status.clone());
        Some(Monitor { database: open.database.name(), queue, status })
    }

    /// Writes what waits, for at most `store.flush-timeout`, and closes the
    /// database. What is recorded from then on is dropped and counted.
    ///
    /// # Cancel safety
    ///
    /// The writer goes on by itself.
    pub async fn close(&self) {
        if let Some(open) = &self.open {
            open.closing.cancel();
            open.tasks.wait().await;
        }
    }
}

/// Tells how the store is, without holding it.
#[derive(Debug, Clone)]
pub struct Monitor {
    database: &'static str,
    queue: Arc<Queue>,
    status: watch::Receiver<Status>,
}

impl Monitor {
    /// Whether messages are being kept.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Which database it is, as Spring's health names it: `SQLite`, `MySQL`.
    #[must_use]
    pub fn database(&self) -> &'static str {
        self.database
    }

    /// Messages that wait to be written.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }
}

impl Open {
    async fn page(
        &self,
        destination: &str,
        before: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Kept>, StoreError> {
        let mut status = self.status.clone();
        // The tables are made at the first contact.
        let known = status.wait_for(|status| *status != Status::Starting).await.as_deref().ok().cloned();
        if let Some(Status::Down(failure)) = known
            && failure.cause == Cause::Unreachable
        {
            // No subscriber waits for a database that is known to be away.
            return Err(StoreError::Down(failure));
        }
        // Before the database is read: what is written meanwhile is in both.
        let waiting = self.queue.last(destination, before, limit);
        let mut page = self.database.page(destination, before, limit).await?;
        page.extend(waiting.iter().map(|kept| Kept::clone(kept)));
        page.sort_by_key(|kept| kept.id);
        page.dedup_by_key(|kept| kept.id);
        page.drain(..page.len() - newest(&page, limit));
        Ok(page)
    }
}

/// How many of the newest messages make up a page: as many as are wanted and as
/// many as [`PAGE_BYTES`] hold, but one at least.
fn newest(page: &[Kept], limit: usize) -> usize {
    let mut bytes = 0;
    let fits = |kept: &&Kept| {
        bytes += kept.message.body.len();
        bytes <= PAGE_BYTES
    };
    page.iter().rev().take(limit).take_while(fits).count().max(page.len().min(1))
}

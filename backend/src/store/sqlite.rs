//! SQLite, in memory or in a file.

use std::str::FromStr;
use std::sync::Arc;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Error, QueryBuilder, SqlitePool};

use super::Kept;
use super::database::{PRUNED_AT_ONCE, Row, signed};
use super::error::OpenError;
use super::id::MessageId;
use crate::config::StoreConfig;

/// Connections to a file: one writes, the others read meanwhile.
const CONNECTIONS: u32 = 4;

/// Size of a page in bytes, SQLite's default.
const PAGE_SIZE: u32 = 4096;

/// Largest size in bytes that the write-ahead log keeps when it is empty.
const LOG_SIZE: &str = "4194304";

const TABLE: &str = "CREATE TABLE IF NOT EXISTS albeit_messages (\
    id BLOB NOT NULL PRIMARY KEY, destination TEXT NOT NULL, content_type TEXT NOT NULL, \
    body BLOB NOT NULL, timestamp INTEGER NOT NULL)";

const INDEX: &str = "CREATE INDEX IF NOT EXISTS albeit_messages_by_destination \
    ON albeit_messages (destination, id)";

/// An SQLite database.
#[derive(Debug, Clone)]
pub(super) struct Sqlite {
    pool: SqlitePool,
    /// Pages that it may have.
    pages: i64,
}

impl Sqlite {
    pub(super) fn open(config: &StoreConfig) -> Result<Self, OpenError> {
        let url = &config.url.0;
        let options = SqliteConnectOptions::from_str(url)?;
        let in_memory = url.contains(":memory:") || url.contains("mode=memory");
        let pages = config.max_size / PAGE_SIZE as usize;
        let options = options
            // In this order: the size of pages is fixed by the first write.
            .page_size(PAGE_SIZE)
            .pragma("max_page_count", pages.to_string())
            .pragma("journal_size_limit", LOG_SIZE)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(config.timeout / 2);
        let pool = SqlitePoolOptions::new().acquire_timeout(config.timeout).test_before_acquire(false);
        // A database in memory lives as long as its one connection.
        let (pool, options) = if in_memory {
            (pool.max_connections(1).idle_timeout(None).max_lifetime(None), options)
        } else {
            let options = options.create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
            (pool.max_connections(CONNECTIONS), options)
        };
        let pages = i64::try_from(pages).unwrap_or(i64::MAX);
        Ok(Self { pool: pool.connect_lazy_with(options), pages })
    }

    pub(super) async fn create(&self) -> Result<(), Error> {
        for statement in [TABLE, INDEX] {
            sqlx::query(statement).execute(&self.pool).await?;
        }
        Ok(())
    }

    pub(super) async fn insert(&self, messages: &[Arc<Kept>]) -> Result<(), Error> {
        let mut query = QueryBuilder::new(
            "INSERT INTO albeit_messages (id, destination, content_type, body, timestamp) ",
        );
        query.push_values(messages.iter().map(Arc::as_ref), |mut row, Kept { id, message }| {
            row.push_bind(id.to_bytes().to_vec())
                .push_bind(message.destination.clone())
                .push_bind(message.content_type.clone())
                .push_bind(message.body.to_vec())
                .push_bind(signed(message.timestamp));
        });
        query.push(" ON CONFLICT (id) DO NOTHING");
        query.build().persistent(false).execute(&self.pool).await?;
        Ok(())
    }

    /// Newest first.
    pub(super) async fn page(
        &self,
        destination: &str,
        before: Vec<u8>,
        limit: i64,
    ) -> Result<Vec<Row>, Error> {
        sqlx::query_as(
            "SELECT id, content_type, body, timestamp FROM albeit_messages \
             WHERE destination = ? AND id < ? ORDER BY id DESC LIMIT ?",
        )
        .bind(destination)
        .bind(before)
        .bind(limit)
        .fetch_all(&self.pool)
        .await
    }

    pub(super) async fn prune_before(&self, oldest: MessageId) -> Result<u64, Error> {
        let query = sqlx::query(
            "DELETE FROM albeit_messages WHERE id IN \
             (SELECT id FROM albeit_messages WHERE id < ? ORDER BY id LIMIT ?)",
        );
        let done = query.bind(oldest.to_bytes().to_vec()).bind(PRUNED_AT_ONCE).execute(&self.pool).await?;
        Ok(done.rows_affected())
    }

    pub(super) async fn prune_destination(&self, destination: &str, keep: u32) -> Result<u64, Error> {
        let query = sqlx::query(
            "DELETE FROM albeit_messages WHERE id IN \
             (SELECT id FROM albeit_messages WHERE destination = ? ORDER BY id DESC LIMIT ? OFFSET ?)",
        );
        let done = query.bind(destination).bind(PRUNED_AT_ONCE).bind(keep).execute(&self.pool).await?;
        Ok(done.rows_affected())
    }

    pub(super) async fn prune_size(&self) -> Result<u64, Error> {
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&self.pool).await?;
        let free: i64 = sqlx::query_scalar("PRAGMA freelist_count").fetch_one(&self.pool).await?;
        if pages - free <= self.pages / 10 * 9 {
            return Ok(0);
        }
        // A twentieth at once.
        let query = sqlx::query(
            "DELETE FROM albeit_messages WHERE id IN (SELECT id FROM albeit_messages ORDER BY id \
             LIMIT (SELECT max(1, min(?, count(*) / 20)) FROM albeit_messages))",
        );
        Ok(query.bind(PRUNED_AT_ONCE).execute(&self.pool).await?.rows_affected())
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

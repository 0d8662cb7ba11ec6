//! The one of two databases that is in use.

use std::sync::Arc;

use super::error::{OpenError, StoreError};
use super::id::MessageId;
use super::mysql::MySql;
use super::sqlite::Sqlite;
use super::{Kept, Stored};
use crate::config::StoreConfig;

/// Messages removed by one statement, so that none holds up writes for long.
pub(super) const PRUNED_AT_ONCE: u32 = 1000;

/// A row: id, content type, body, timestamp.
pub(super) type Row = (Vec<u8>, String, Vec<u8>, i64);

/// A database; clones share its connections.
#[derive(Debug, Clone)]
pub(super) enum Database {
    Sqlite(Sqlite),
    MySql(MySql),
}

impl Database {
    /// Connects when it is first used.
    pub(super) fn open(config: &StoreConfig) -> Result<Self, OpenError> {
        if config.url.0.starts_with("sqlite:") {
            Sqlite::open(config).map(Self::Sqlite)
        } else {
            MySql::open(config).map(Self::MySql)
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "SQLite",
            Self::MySql(_) => "MySQL",
        }
    }

    /// Makes what is missing of the tables.
    pub(super) async fn create(&self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(database) => database.create().await,
            Self::MySql(database) => database.create().await,
        }
    }

    /// Writes all messages or none. Those that are there already, since the
    /// answer to an earlier attempt was lost, stay as they are.
    pub(super) async fn insert(&self, messages: &[Arc<Kept>]) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(database) => database.insert(messages).await,
            Self::MySql(database) => database.insert(messages).await,
        }
    }

    /// The last messages of a destination, oldest first.
    pub(super) async fn page(
        &self,
        destination: &str,
        before: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Kept>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        // After every id there is.
        let before = before.map_or([0xff; 16], MessageId::to_bytes).to_vec();
        let rows = match self {
            Self::Sqlite(database) => database.page(destination, before, limit).await?,
            Self::MySql(database) => database.page(destination, before, limit).await?,
        };
        Ok(rows.into_iter().rev().filter_map(|row| kept(destination, row)).collect())
    }

    /// Removes some of the messages before `oldest`. Returns how many.
    pub(super) async fn prune_before(&self, oldest: MessageId) -> Result<u64, sqlx::Error> {
        match self {
            Self::Sqlite(database) => database.prune_before(oldest).await,
            Self::MySql(database) => database.prune_before(oldest).await,
        }
    }

    /// Removes some of the messages of a destination that are older than its
    /// last `keep`. Returns how many.
    pub(super) async fn prune_destination(&self, destination: &str, keep: u32) -> Result<u64, sqlx::Error> {
        match self {
            Self::Sqlite(database) => database.prune_destination(destination, keep).await,
            Self::MySql(database) => database.prune_destination(destination, keep).await,
        }
    }

    /// Removes some of the oldest messages of a database that is nearly as large
    /// as it may be. Returns how many.
    pub(super) async fn prune_size(&self) -> Result<u64, sqlx::Error> {
        match self {
            Self::Sqlite(database) => database.prune_size().await,
            Self::MySql(_) => Ok(0),
        }
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(database) => database.close().await,
            Self::MySql(database) => database.close().await,
        }
    }
}

/// None for a row that somebody else has made.
fn kept(destination: &str, (id, content_type, body, timestamp): Row) -> Option<Kept> {
    let message = Stored {
        destination: destination.to_owned(),
        content_type,
        body: body.into(),
        timestamp: u64::try_from(timestamp).ok()?,
    };
    Some(Kept { id: MessageId::from_bytes(&id)?, message })
}

/// Milliseconds as the databases have them.
pub(super) fn signed(timestamp: u64) -> i64 {
    i64::try_from(timestamp).unwrap_or(i64::MAX)
}

//! MySQL 8 and MariaDB.

use std::str::FromStr;
use std::sync::Arc;

use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::{Error, MySqlPool, QueryBuilder};

use super::Kept;
use super::database::{PRUNED_AT_ONCE, Row, signed};
use super::error::OpenError;
use super::id::MessageId;
use crate::config::{Password, StoreConfig};

/// Connections: one writes, the others read.
const CONNECTIONS: u32 = 4;

/// Destinations are bytes, since every collation that both servers know takes
/// some of them for others.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS albeit_messages (\
    id BINARY(16) NOT NULL PRIMARY KEY, destination VARBINARY(512) NOT NULL, \
    content_type VARCHAR(255) NOT NULL, body MEDIUMBLOB NOT NULL, timestamp BIGINT NOT NULL, \
    INDEX albeit_messages_by_destination (destination, id)\
    ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4";

/// A database of a MySQL server.
#[derive(Debug, Clone)]
pub(super) struct MySql {
    pool: MySqlPool,
}

impl MySql {
    pub(super) fn open(config: &StoreConfig) -> Result<Self, OpenError> {
        let mut options = MySqlConnectOptions::from_str(&config.url.0)?;
        if let Some(username) = &config.username {
            options = options.username(username);
        }
        if let Some(Password(password)) = &config.password {
            options = options.password(password);
        }
        let pool = MySqlPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(config.timeout);
        Ok(Self { pool: pool.connect_lazy_with(options) })
    }

    pub(super) async fn create(&self) -> Result<(), Error> {
        sqlx::query(TABLE).execute(&self.pool).await?;
        Ok(())
    }

    pub(super) async fn insert(&self, messages: &[Arc<Kept>]) -> Result<(), Error> {
        let mut query = QueryBuilder::new(
            "INSERT INTO albeit_messages (id, destination, content_type, body, timestamp) ",
        );
        query.push_values(messages.iter().map(Arc::as_ref), |mut row, Kept { id, message }| {
            row.push_bind(id.to_bytes().to_vec())
                .push_bind(message.destination.clone().into_bytes())
                .push_bind(message.content_type.clone())
                .push_bind(message.body.to_vec())
                .push_bind(signed(message.timestamp));
        });
        // INSERT IGNORE would cut what is too long.
        query.push(" ON DUPLICATE KEY UPDATE id = albeit_messages.id");
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
        .bind(destination.as_bytes())
        .bind(before)
        .bind(limit)
        .fetch_all(&self.pool)
        .await
    }

    pub(super) async fn prune_before(&self, oldest: MessageId) -> Result<u64, Error> {
        let query = sqlx::query("DELETE FROM albeit_messages WHERE id < ? ORDER BY id LIMIT ?");
        let done = query.bind(oldest.to_bytes().to_vec()).bind(PRUNED_AT_ONCE).execute(&self.pool).await?;
        Ok(done.rows_affected())
    }

    /// MySQL takes no LIMIT in the subquery of an IN.
    pub(super) async fn prune_destination(&self, destination: &str, keep: u32) -> Result<u64, Error> {
        let query = sqlx::query(
            "DELETE messages FROM albeit_messages AS messages JOIN \
             (SELECT id FROM albeit_messages WHERE destination = ? ORDER BY id DESC LIMIT ? OFFSET ?) AS old \
             ON messages.id = old.id",
        );
        let done =
            query.bind(destination.as_bytes()).bind(PRUNED_AT_ONCE).bind(keep).execute(&self.pool).await?;
        Ok(done.rows_affected())
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

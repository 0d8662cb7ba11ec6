//! What can go wrong, by whose fault: the database's, or the message's.

use sqlx::Error;
use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;
use sqlx::sqlite::SqliteError;

use super::status::{Cause, Failure};

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
#[error("store.url cannot be used")]
pub struct OpenError(#[from] pub(super) Error);

/// Why the store cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is known to be away.
    #[error("the message store is down ({0})")]
    Down(Failure),
    /// It did not answer within `store.timeout`.
    #[error("the message store did not answer in time")]
    Timeout,
    /// It failed.
    #[error("the message store cannot be read")]
    Database(#[from] Error),
}

/// What a failed write says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    /// The database takes no message now.
    Database(Cause),
    /// It does not take this one, now or later.
    Message,
}

/// Whose fault a failure is.
pub(super) fn blame(error: &Error) -> Blame {
    match error {
        Error::Database(error) => match error.try_downcast_ref::<SqliteError>() {
            Some(error) => of_sqlite(error),
            None => error
                .try_downcast_ref::<MySqlDatabaseError>()
                .map_or(Blame::Database(Cause::Failed), of_mysql),
        },
        Error::Encode(_) => Blame::Message,
        Error::Io(_) | Error::Tls(_) | Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed => {
            Blame::Database(Cause::Unreachable)
        }
        _ => Blame::Database(Cause::Failed),
    }
}

/// By SQLite's primary result code, the low byte of the extended one.
fn of_sqlite(error: &SqliteError) -> Blame {
    let code: i32 = error.code().and_then(|code| code.parse().ok()).unwrap_or_default();
    match code & 0xff {
        // BUSY, LOCKED.
        5 | 6 => Blame::Database(Cause::Locked),
        // READONLY.
        8 => Blame::Database(Cause::ReadOnly),
        // FULL.
        13 => Blame::Database(Cause::Full),
        // CANTOPEN.
        14 => Blame::Database(Cause::Unreachable),
        // TOOBIG, CONSTRAINT, MISMATCH.
        18..=20 => Blame::Message,
        _ => Blame::Database(Cause::Failed),
    }
}

/// By MySQL's error number, which MariaDB shares, or the class of the SQLSTATE.
fn of_mysql(error: &MySqlDatabaseError) -> Blame {
    match error.number() {
        // Disk full, table full.
        1021 | 1114 => Blame::Database(Cause::Full),
        // Lock wait timeout, deadlock.
        1205 | 1213 => Blame::Database(Cause::Locked),
        // --read-only, read-only transaction, read-only mode.
        1290 | 1792 | 1836 => Blame::Database(Cause::ReadOnly),
        // Too many connections, shutdown in progress.
        1040 | 1053 => Blame::Database(Cause::Unreachable),
        // Packet larger than max_allowed_packet, incorrect string value.
        1153 | 1366 => Blame::Message,
        // Data exception, constraint violation.
        _ if matches!(error.code(), Some(state) if state.starts_with("22") || state.starts_with("23")) => {
            Blame::Message
        }
        _ => Blame::Database(Cause::Failed),
    }
}

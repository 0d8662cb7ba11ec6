//! The message store: what was said in a room, for those who come later.

use bytes::Bytes;

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

/// The store; by default it is off and keeps nothing.
#[derive(Debug, Default)]
pub struct Store {}

impl Store {
    /// Keeps a message. Never waits: what cannot be queued is dropped and
    /// counted, and the store's health says so.
    pub fn record(&self, message: Stored) {
        let _unused = (self, message);
    }

    /// The last messages of a destination, oldest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub async fn history(&self, destination: &str, limit: usize) -> Result<Vec<Stored>, StoreError> {
        let _unused = (self, destination, limit);
        std::future::ready(Ok(Vec::new())).await
    }
}

/// Why the store cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the message store cannot be read")]
pub struct StoreError;

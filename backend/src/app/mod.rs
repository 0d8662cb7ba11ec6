//! What the service does with its clients' messages.
//!
//! [`Application`] is the seam for others who embed the server; [`Demo`] is
//! the one that `albeit-backend` runs.

mod demo;
pub mod page;
pub mod whoami;

use bytes::Bytes;
use futures_util::future::BoxFuture;

pub use demo::Demo;

/// A message that a client sent to `/app/…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The destination without `/app/`.
    pub destination: String,
    /// All headers of the SEND frame, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// The session it came from.
    pub session: String,
    /// When it was received, in milliseconds since 1970.
    pub timestamp: u64,
}

/// A message for all subscribers of a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broadcast {
    /// A broker destination, `/topic/…`.
    pub destination: String,
    /// The `content-type` header.
    pub content_type: &'static str,
    /// The body.
    pub body: Bytes,
}

/// Why a message is not processed; becomes an ERROR frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}: {explanation}")]
pub struct Rejection {
    /// The `message` header: short, fixed text.
    pub message: String,
    /// The body of the ERROR frame.
    pub explanation: String,
}

impl Rejection {
    /// A rejection with its short text and its explanation.
    #[must_use]
    pub fn new(message: impl Into<String>, explanation: impl Into<String>) -> Self {
        Self { message: message.into(), explanation: explanation.into() }
    }
}

/// Handles the messages that clients send to `/app/…`.
pub trait Application: Send + Sync + 'static {
    /// Processes one message and tells what to publish. Messages of one client
    /// come one after the other; its later frames wait for this one.
    ///
    /// A [`Rejection`] ends the client's session with an ERROR frame.
    fn handle(&self, message: Incoming) -> BoxFuture<'_, Result<Vec<Broadcast>, Rejection>>;
}

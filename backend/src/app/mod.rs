//! What the service does with its clients' messages.
//!
//! [`Application`] is the seam for others who embed the server; [`Demo`] is
//! the one that `albeit-backend` runs.

mod chat;
mod demo;
pub mod gateway;
pub mod history;
pub mod page;
pub mod rooms;
pub mod whoami;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use crate::auth::Principal;

pub use chat::Chat;
pub use demo::Demo;
pub use gateway::Gateway;

/// A message that a client sent to `/app/…`, or its subscription to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The destination without `/app/`.
    pub destination: String,
    /// All headers of the frame, in order, without those that carry secrets.
    pub headers: Vec<(String, String)>,
    /// The body; empty for a subscription.
    pub body: Bytes,
    /// The session it came from.
    pub session: String,
    /// Who sent it, when the session is authenticated.
    pub principal: Option<Arc<Principal>>,
    /// When it was received, in milliseconds since 1970.
    pub timestamp: u64,
}

/// A message that the application sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Who gets it.
    pub to: Receivers,
    /// The `content-type` header.
    pub content_type: &'static str,
    /// The body.
    pub body: Bytes,
    /// Whether the message store keeps it, for `history`. Only messages to a
    /// destination are kept.
    pub kept: bool,
}

/// Who gets a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receivers {
    /// All subscribers of a broker destination, `/topic/…` or `/queue/…`, on
    /// every instance.
    Destination(String),
    /// The sessions of a user, on every instance, that subscribed to
    /// `/user{queue}`.
    User {
        /// The user's name.
        name: String,
        /// As `/queue/private`.
        queue: String,
    },
    /// The sender's session alone, if it subscribed to `/user{queue}`: Spring's
    /// `@SendToUser(broadcast = false)`.
    Sender {
        /// As `/queue/private`.
        queue: String,
    },
}

/// The one answer to a subscription to `/app/…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
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

/// Handles what clients send to `/app/…`.
pub trait Application: Send + Sync + 'static {
    /// A session has connected: Spring's `SessionConnectedEvent`. Called between
    /// two frames of a client, so it must not block. By default nothing happens.
    fn connected(&self, session: &str, principal: Option<&Principal>) {
        let _unused = (session, principal);
    }

    /// A session that had connected is over, in whatever way: Spring's
    /// `SessionDisconnectEvent`. It must not block. By default nothing happens.
    fn disconnected(&self, session: &str, principal: Option<&Principal>) {
        let _unused = (session, principal);
    }

    /// Processes one message and tells what to send. Messages of one client
    /// come one after the other; its later frames wait for this one.
    ///
    /// A [`Rejection`] ends the client's session with an ERROR frame.
    fn handle(&self, message: Incoming) -> BoxFuture<'_, Result<Vec<Outgoing>, Rejection>>;

    /// Answers a subscription to `/app/…`: the reply is delivered once to that
    /// subscription, and nothing is registered (Spring's `@SubscribeMapping`).
    ///
    /// A [`Rejection`], which is the default, ends the client's session with an
    /// ERROR frame.
    fn subscribe(&self, subscription: Incoming) -> BoxFuture<'_, Result<Reply, Rejection>> {
        let text = format!("nothing answers a subscription to /app/{}", subscription.destination);
        ready(Err(Rejection::new("unknown destination", text))).boxed()
    }

    /// The Socket.IO gateway of a namespace. None, which is the default, refuses
    /// clients with "Invalid namespace", except that `/` always exists.
    fn gateway(&self, namespace: &str) -> Option<&dyn Gateway> {
        let _ = namespace;
        None
    }
}

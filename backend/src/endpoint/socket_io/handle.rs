//! What the requests of a session see of it.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine_io::{CloseReason, TransportName, payload};
use crate::link::{Limits, Link, Over, Taken};

use super::Services;
use super::transport::Lent;

/// What waits between the task and its requests: a payload is pushed when a
/// poll is there to take it, and the outbox bounds its bytes.
const LIMITS: Limits = Limits { messages: 4, bytes: usize::MAX, inbound: 1 };

/// WebSockets that wait to be looked at.
const OFFERS: usize = 2;

/// A session as requests see it.
#[derive(Debug)]
pub struct Handle {
    pub(super) sid: Arc<str>,
    pub(super) link: Arc<Link>,
    offers: mpsc::Sender<Lent>,
    posting: AtomicBool,
    /// Whether the transport is a WebSocket.
    upgraded: AtomicBool,
    misuse: OnceLock<CloseReason>,
    misused: CancellationToken,
}

/// The task's ends of a [`Handle`].
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) offers: mpsc::Receiver<Lent>,
}

/// Two GETs or two POSTs at once, or a payload that is none. The session is
/// over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session was misused")]
pub struct Overlap;

/// What a poll comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Polled {
    /// A payload.
    Payload(Bytes),
    /// The session has another transport, or is over.
    Over,
}

impl Handle {
    pub(super) fn new(sid: &str, transport: TransportName) -> (Self, Ends) {
        let (offers, receiver) = mpsc::channel(OFFERS);
        let handle = Self {
            sid: sid.into(),
            link: Arc::new(Link::new(LIMITS, Instant::now())),
            offers,
            posting: AtomicBool::new(false),
            upgraded: AtomicBool::new(transport == TransportName::WebSocket),
            misuse: OnceLock::new(),
            misused: CancellationToken::new(),
        };
        (handle, Ends { offers: receiver })
    }

    /// The id.
    #[must_use]
    pub fn sid(&self) -> &str {
        &self.sid
    }

    /// The transport of the moment.
    #[must_use]
    pub fn transport(&self) -> TransportName {
        if self.upgraded.load(Ordering::Acquire) { TransportName::WebSocket } else { TransportName::Polling }
    }

    /// Waits for something to send to the client.
    ///
    /// # Errors
    ///
    /// Another poll is open.
    ///
    /// # Cancel safety
    ///
    /// The session ends: what was sent may be lost.
    pub async fn poll(self: &Arc<Self>, services: &Services) -> Result<Polled, Overlap> {
        let Ok(mut attached) = self.link.attach() else {
            return Err(self.misuse(services, CloseReason::TransportError));
        };
        let taken = attached.next(1).await;
        attached.finish();
        Ok(match taken {
            Taken::Messages(mut payloads) => payloads.pop().map_or(Polled::Over, Polled::Payload),
            Taken::Closed(_) => Polled::Over,
        })
    }

    /// Begins to read a payload of the client, which is given to
    /// `Posting::deliver`.
    ///
    /// # Errors
    ///
    /// Another one is being read.
    pub fn post<'a>(self: &'a Arc<Self>, services: &'a Services) -> Result<Posting<'a>, Overlap> {
        if self.posting.swap(true, Ordering::AcqRel) {
            return Err(self.misuse(services, CloseReason::TransportError));
        }
        Ok(Posting { handle: self, services })
    }

    /// Hands a WebSocket over; it comes back when there is no task to take it.
    pub(super) fn offer(&self, lent: Lent) -> Result<(), Lent> {
        self.offers.try_send(lent).map_err(|error| match error {
            mpsc::error::TrySendError::Full(lent) | mpsc::error::TrySendError::Closed(lent) => lent,
        })
    }

    /// Ends the session at once: its id is unknown from now on.
    fn misuse(self: &Arc<Self>, services: &Services, reason: CloseReason) -> Overlap {
        services.socket_io.sessions.remove(&self.sid, self);
        self.misuse.get_or_init(|| reason);
        self.misused.cancel();
        Overlap
    }

    /// Waits until a request misuses the session.
    pub(super) async fn misused(&self) -> CloseReason {
        self.misused.cancelled().await;
        self.misuse.get().copied().unwrap_or(CloseReason::TransportError)
    }

    /// Polling is over.
    pub(super) fn upgrade(&self) {
        self.upgraded.store(true, Ordering::Release);
        self.link.close(1000, "");
    }
}

/// The one request that brings a payload.
#[derive(Debug)]
pub struct Posting<'a> {
    handle: &'a Arc<Handle>,
    services: &'a Services,
}

impl Posting<'_> {
    /// Gives the payload to the session's task. Waits while it is behind.
    ///
    /// # Errors
    ///
    /// It is no payload, or the session is over.
    ///
    /// # Cancel safety
    ///
    /// The payload may not be delivered.
    pub async fn deliver(self, payload: Bytes) -> Result<(), Overlap> {
        if payload::check(&payload).is_err() {
            return Err(self.handle.misuse(self.services, CloseReason::ParseError));
        }
        self.handle.link.deliver(vec![payload]).await.map_err(|Over| Overlap)
    }

    /// Ends the session: the client sent what is not allowed.
    #[must_use]
    pub fn refuse(self) -> Overlap {
        self.handle.misuse(self.services, CloseReason::TransportError)
    }
}

impl Drop for Posting<'_> {
    fn drop(&mut self) {
        self.handle.posting.store(false, Ordering::Release);
    }
}

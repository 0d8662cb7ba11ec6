//! What carries the messages of a session: a WebSocket, or a SockJS session
//! over whatever transport it has.

use std::future::Future;

use bytes::Bytes;
use tokio::time::Instant;

use crate::broker::{Item, Kind};
use crate::ws::{CloseCode, Event, Reading, Socket};

/// How the bytes of an [`Item`] are written for a carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As they are.
    Plain,
    /// As the inside of a JSON string, escaped as SockJS wants it.
    Json,
}

/// A connection that takes and gives whole messages.
pub trait Carrier: Send {
    /// How the items that are queued must be written.
    fn encoding(&self) -> Encoding;

    /// Queues messages that are written together. Empties `batch`.
    fn queue(&mut self, batch: &mut Vec<Item>);

    /// Queues a ping, where there is such a thing.
    fn queue_ping(&mut self);

    /// Whether something queued is not written yet.
    fn is_unflushed(&self) -> bool;

    /// The session on top has heart-beats of its own: the carrier's may stop.
    fn disable_heart_beats(&mut self) {}

    /// Writes what is queued and waits for the next event.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    fn event(&mut self, reading: Reading) -> impl Future<Output = Event> + Send;

    /// Closes after what is queued is written, before `deadline`.
    fn close(self, code: CloseCode, reason: &str, deadline: Instant) -> impl Future<Output = ()> + Send;
}

impl Carrier for Socket {
    fn encoding(&self) -> Encoding {
        Encoding::Plain
    }

    fn queue(&mut self, batch: &mut Vec<Item>) {
        for item in batch.drain(..) {
            let kind = item.kind;
            let payload: Bytes = item.join();
            match kind {
                Kind::Text => self.queue_text(payload),
                Kind::Binary => self.queue_binary(payload),
            }
        }
    }

    fn queue_ping(&mut self) {
        Self::queue_ping(self);
    }

    fn is_unflushed(&self) -> bool {
        Self::is_unflushed(self)
    }

    fn event(&mut self, reading: Reading) -> impl Future<Output = Event> + Send {
        Self::event(self, reading)
    }

    fn close(self, code: CloseCode, reason: &str, deadline: Instant) -> impl Future<Output = ()> + Send {
        Self::close(self, code, reason, deadline)
    }
}

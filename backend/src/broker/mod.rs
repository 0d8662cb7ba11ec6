//! The in-memory broker: destinations, subscriptions, bounded outboxes.
//!
//! It knows no protocol. A publisher hands over something that can encode
//! itself once per [`Dialect`]; all subscribers of that dialect share the bytes
//! and differ in a short head. A slow consumer is never waited for: what does
//! not fit into its [`Outbox`] closes it. Destinations match exactly.

mod outbox;
mod registry;
mod users;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{BufMut, Bytes, BytesMut};

pub use outbox::{Item, Kind, Outbox, OutboxState};
pub use registry::SubscriptionId;
use registry::{Registry, Subscriber};
pub use users::{UserSession, Users};

/// A wire format whose bytes subscribers can share, numbered by its user from 0
/// to [`Dialect::COUNT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect(pub u8);

impl Dialect {
    /// How many there can be.
    pub const COUNT: usize = 8;
}

/// A message that can be written in a dialect.
pub trait Encode: Send + Sync {
    /// The part that all subscribers of the dialect share.
    fn encode(&self, dialect: Dialect) -> Bytes;

    /// Whether the encoded message is text.
    fn kind(&self) -> Kind;
}

/// Subscribers served between two yields of a publish, so that a publish to
/// thousands does not hold up heart-beats.
const YIELD_AFTER: usize = 512;

/// What a publish came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Published {
    /// Outboxes that took the message.
    pub delivered: u64,
    /// Outboxes that did not: full, or closed already.
    pub dropped: u64,
}

/// Routes published messages to the outboxes of subscribers.
#[derive(Debug, Default)]
pub struct Broker {
    registry: Registry,
    next_subscription: AtomicU64,
    next_message: AtomicU64,
}

/// A subscription; dropping it ends it.
#[derive(Debug)]
pub struct Subscription {
    broker: Arc<Broker>,
    destination: Arc<str>,
    id: SubscriptionId,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.broker.registry.remove(&self.destination, self.id);
    }
}

impl Broker {
    /// Subscribes an outbox. The head of each delivery is `prefix` and the number
    /// of the message.
    #[must_use]
    pub fn subscribe(
        self: &Arc<Self>,
        destination: &str,
        outbox: Arc<Outbox>,
        prefix: Bytes,
        dialect: Dialect,
    ) -> Subscription {
        let id = SubscriptionId(self.next_subscription.fetch_add(1, Ordering::Relaxed));
        let subscriber = Subscriber { id, outbox, prefix, dialect };
        let destination = self.registry.insert(destination, subscriber);
        Subscription { broker: Arc::clone(self), destination, id }
    }

    /// Whether anyone listens.
    #[must_use]
    pub fn has_subscribers(&self, destination: &str) -> bool {
        !self.registry.chunks(destination).is_empty()
    }

    /// Puts the message into the outbox of every subscriber, under a number
    /// that counts up in this broker.
    ///
    /// # Cancel safety
    ///
    /// Dropped half way, some subscribers have the message and some have not.
    pub async fn publish(&self, destination: &str, message: &dyn Encode) -> Published {
        let chunks = self.registry.chunks(destination);
        let mut published = Published::default();
        if chunks.is_empty() {
            return published;
        }
        let number = self.next_message.fetch_add(1, Ordering::Relaxed).to_string();
        let mut tails: [Option<Bytes>; Dialect::COUNT] = Default::default();
        let kind = message.kind();
        let mut since_yield = 0;
        for chunk in chunks {
            if since_yield >= YIELD_AFTER {
                since_yield = 0;
                tokio::task::yield_now().await;
            }
            since_yield += chunk.len();
            let mut heads = heads_buffer(&chunk, &number);
            for subscriber in chunk.iter() {
                let dialect = subscriber.dialect;
                let Some(tail) = tails.get_mut(usize::from(dialect.0)) else {
                    continue;
                };
                let tail = tail.get_or_insert_with(|| message.encode(dialect)).clone();
                heads.put_slice(&subscriber.prefix);
                heads.put_slice(number.as_bytes());
                let head = heads.split().freeze();
                if subscriber.outbox.push(Item { kind, head, tail }) {
                    published.delivered += 1;
                } else {
                    published.dropped += 1;
                }
            }
        }
        published
    }
}

/// One allocation for the heads of a whole chunk.
fn heads_buffer(chunk: &[Subscriber], number: &str) -> BytesMut {
    BytesMut::with_capacity(chunk.iter().map(|s| s.prefix.len() + number.len()).sum())
}

#[cfg(test)]
mod tests;

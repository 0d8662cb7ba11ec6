//! The in-memory broker: destinations, subscriptions, bounded outboxes.
//!
//! It knows no protocol. A publisher hands over something that can encode
//! itself once per [`Dialect`]; all subscribers of that dialect share the bytes
//! and differ in a short head. A slow consumer is never waited for: what does
//! not fit into its [`Outbox`] closes it. Destinations match exactly, or by a
//! [`Pattern`], which costs nothing where there is none.

mod ack;
mod hold;
mod outbox;
mod pattern_index;
mod patterns;
mod receiver;
mod registry;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};

pub use ack::{Acknowledging, Settled, Settling, UnknownMessage, WindowId};
use hold::Hold;
pub use hold::HoldOverflow;
pub use outbox::{Item, Kind, Lost, Outbox, OutboxState};
use pattern_index::PatternIndex;
pub use pattern_index::TooManyPatterns;
pub use patterns::{Pattern, PatternError};
use receiver::Number;
pub use receiver::{AckHead, Receiver};
pub use registry::SubscriptionId;
use registry::{Chunk, Registry, Subscriber};

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
    patterns: PatternIndex,
    /// Who listens to which pattern.
    pattern_registry: Registry,
    next_subscription: AtomicU64,
    next_message: AtomicU64,
}

/// A subscription; dropping it ends it.
#[derive(Debug)]
pub struct Subscription {
    broker: Arc<Broker>,
    to: SubscribedTo,
    id: SubscriptionId,
}

#[derive(Debug)]
enum SubscribedTo {
    Destination(Arc<str>),
    Pattern(Arc<str>),
}

impl Drop for Subscription {
    fn drop(&mut self) {
        match &self.to {
            SubscribedTo::Destination(destination) => self.broker.registry.remove(destination, self.id),
            SubscribedTo::Pattern(pattern) => {
                self.broker.pattern_registry.remove(pattern, self.id);
                self.broker.patterns.remove(pattern);
            }
        }
    }
}

/// A subscription whose deliveries are held back until
/// [`release`](Self::release).
#[derive(Debug)]
pub struct Held {
    broker: Arc<Broker>,
    receiver: Receiver,
    hold: Arc<Hold>,
}

impl Broker {
    /// Subscribes a receiver to a destination.
    #[must_use]
    pub fn subscribe(self: &Arc<Self>, destination: &str, receiver: Receiver) -> Subscription {
        let id = self.subscription_id();
        let destination = self.registry.insert(destination, Subscriber { id, receiver });
        Subscription { broker: Arc::clone(self), to: SubscribedTo::Destination(destination), id }
    }

    /// Subscribes a receiver to all destinations that a pattern matches, those
    /// that begin with a slash. A receiver that is subscribed in several ways
    /// gets a message for each.
    ///
    /// # Errors
    ///
    /// There are more patterns than are served.
    pub fn subscribe_pattern(
        self: &Arc<Self>,
        pattern: Pattern,
        receiver: Receiver,
    ) -> Result<Subscription, TooManyPatterns> {
        let id = self.subscription_id();
        let pattern = self.patterns.add(pattern)?;
        self.pattern_registry.insert(&pattern, Subscriber { id, receiver });
        Ok(Subscription { broker: Arc::clone(self), to: SubscribedTo::Pattern(pattern), id })
    }

    /// Subscribes a receiver that is to get older messages before those that are
    /// published from now on. At most `limit` bytes of these wait.
    #[must_use]
    pub fn subscribe_held(
        self: &Arc<Self>,
        destination: &str,
        receiver: Receiver,
        limit: usize,
    ) -> (Subscription, Held) {
        let hold = Arc::new(Hold::new(limit));
        let held = Held { broker: Arc::clone(self), receiver: receiver.clone(), hold: Arc::clone(&hold) };
        (self.subscribe(destination, Receiver { hold: Some(hold), ..receiver }), held)
    }

    /// Delivers a message to one receiver, subscribed or not. Returns whether it
    /// was taken.
    pub fn deliver(&self, receiver: &Receiver, message: &dyn Encode) -> bool {
        receiver.push(receiver.item(message, &self.number()))
    }

    fn subscription_id(&self) -> SubscriptionId {
        SubscriptionId(self.next_subscription.fetch_add(1, Ordering::Relaxed))
    }

    /// The subscribers of a destination at this moment.
    fn chunks(&self, destination: &str) -> Vec<Chunk> {
        let mut chunks = self.registry.chunks(destination);
        if !self.patterns.is_empty() && destination.starts_with('/') {
            for pattern in self.patterns.matching(destination).iter() {
                chunks.extend(self.pattern_registry.chunks(pattern));
            }
        }
        chunks
    }

    /// Of the next message.
    fn number(&self) -> Number {
        Number::new(self.next_message.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether anyone listens.
    #[must_use]
    pub fn has_subscribers(&self, destination: &str) -> bool {
        !self.chunks(destination).is_empty()
    }

    /// Puts the message into the outbox of every subscriber, under a number
    /// that counts up in this broker.
    ///
    /// # Cancel safety
    ///
    /// Dropped half way, some subscribers have the message and some have not.
    pub async fn publish(&self, destination: &str, message: &dyn Encode) -> Published {
        let chunks = self.chunks(destination);
        let mut published = Published::default();
        if chunks.is_empty() {
            return published;
        }
        let number = self.number();
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
                let receiver = &subscriber.receiver;
                let dialect = receiver.dialect;
                let Some(tail) = tails.get_mut(usize::from(dialect.0)) else {
                    continue;
                };
                let tail = tail.get_or_insert_with(|| message.encode(dialect)).clone();
                let head = receiver.head(&mut heads, &number);
                if receiver.push(Item { kind, head, tail, pending: receiver.pending(&number) }) {
                    published.delivered += 1;
                } else {
                    published.dropped += 1;
                }
            }
        }
        published
    }
}

impl Held {
    /// Delivers `older` messages, then those published since the subscription,
    /// then lets go. A message that was published since and is also among the
    /// older ones is delivered once: it is known by its bytes, so `published`
    /// has the older messages in the form in which they were published.
    ///
    /// # Errors
    ///
    /// More was published meanwhile than could wait; nothing is delivered.
    pub fn release(
        self,
        older: &[&dyn Encode],
        published: &[&dyn Encode],
    ) -> Result<Published, HoldOverflow> {
        let older = older.iter().map(|message| self.receiver.item(*message, &self.broker.number()));
        let known = published.iter().map(|message| message.encode(self.receiver.dialect));
        self.hold.release(&self.receiver.outbox, older.collect(), known.collect())
    }
}

/// One allocation for the heads of a whole chunk.
fn heads_buffer(chunk: &[Subscriber], number: &Number) -> BytesMut {
    BytesMut::with_capacity(chunk.iter().map(|s| s.receiver.head_len(number)).sum())
}

#[cfg(test)]
mod tests;

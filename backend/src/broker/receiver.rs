//! Where the deliveries of a subscription go.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::hold::Hold;
use super::outbox::{Item, Outbox};
use super::{Dialect, Encode};

/// The end of a subscription: an outbox, and how a delivery is written for it.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// Takes the deliveries.
    pub outbox: Arc<Outbox>,
    /// Comes before the message's number in the head of each delivery.
    pub prefix: Bytes,
    /// How the rest is written.
    pub dialect: Dialect,
    /// Keeps deliveries back for a while.
    pub(super) hold: Option<Arc<Hold>>,
}

impl Receiver {
    /// A receiver that gets its deliveries at once.
    #[must_use]
    pub fn new(outbox: Arc<Outbox>, prefix: Bytes, dialect: Dialect) -> Self {
        Self { outbox, prefix, dialect, hold: None }
    }

    /// Length of a delivery's head.
    pub(super) fn head_len(&self, number: &str) -> usize {
        self.prefix.len() + number.len()
    }

    /// Writes the head of a delivery.
    pub(super) fn put_head(&self, heads: &mut BytesMut, number: &str) {
        heads.put_slice(&self.prefix);
        heads.put_slice(number.as_bytes());
    }

    /// Takes a delivery; false when it was dropped.
    pub(super) fn push(&self, item: Item) -> bool {
        match &self.hold {
            None => self.outbox.push(item),
            Some(hold) => hold.push(item, &self.outbox),
        }
    }

    /// A delivery of one message to this receiver alone.
    pub(super) fn item(&self, message: &dyn Encode, number: &str) -> Item {
        let mut head = BytesMut::with_capacity(self.head_len(number));
        self.put_head(&mut head, number);
        Item { kind: message.kind(), head: head.freeze(), tail: message.encode(self.dialect) }
    }
}

//! Where the deliveries of a subscription go.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::ack::{Pending, WindowId};
use super::hold::Hold;
use super::outbox::{Item, Outbox};
use super::{Dialect, Encode};

/// The number of a message in its broker.
#[derive(Debug)]
pub(super) struct Number {
    value: u64,
    text: String,
}

/// How deliveries that must be acknowledged differ.
#[derive(Debug, Clone)]
pub struct AckHead {
    /// Holds the deliveries.
    pub window: WindowId,
    /// Comes after the message's number, and before it once more; empty where a
    /// message is acknowledged by the first one.
    pub prefix: Bytes,
}

impl Number {
    pub(super) fn new(value: u64) -> Self {
        Self { value, text: value.to_string() }
    }
}

/// The end of a subscription: an outbox, and how a delivery is written for it.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// Takes the deliveries.
    pub outbox: Arc<Outbox>,
    /// Comes before the message's number in the head of each delivery.
    pub prefix: Bytes,
    /// How the rest is written.
    pub dialect: Dialect,
    /// What must be acknowledged, and how it is named.
    pub ack: Option<AckHead>,
    /// Keeps deliveries back for a while.
    pub(super) hold: Option<Arc<Hold>>,
}

impl Receiver {
    /// A receiver that gets its deliveries at once and acknowledges none.
    #[must_use]
    pub fn new(outbox: Arc<Outbox>, prefix: Bytes, dialect: Dialect) -> Self {
        Self { outbox, prefix, dialect, ack: None, hold: None }
    }

    /// Length of a delivery's head.
    pub(super) fn head_len(&self, number: &Number) -> usize {
        let ack = self.named_ack().map_or(0, |ack| ack.prefix.len() + number.text.len());
        self.prefix.len() + number.text.len() + ack
    }

    /// Writes the head of a delivery in `heads`, whose memory it shares, unless
    /// it may be kept for long.
    pub(super) fn head(&self, heads: &mut BytesMut, number: &Number) -> Bytes {
        heads.put_slice(&self.prefix);
        heads.put_slice(number.text.as_bytes());
        if let Some(ack) = self.named_ack() {
            heads.put_slice(&ack.prefix);
            heads.put_slice(number.text.as_bytes());
        }
        let head = heads.split();
        if self.ack.is_some() { Bytes::copy_from_slice(&head) } else { head.freeze() }
    }

    /// The place of a delivery in the window.
    pub(super) fn pending(&self, number: &Number) -> Option<Pending> {
        self.ack.as_ref().map(|ack| Pending { window: ack.window, number: number.value })
    }

    fn named_ack(&self) -> Option<&AckHead> {
        self.ack.as_ref().filter(|ack| !ack.prefix.is_empty())
    }

    /// Takes a delivery; false when it was dropped.
    pub(super) fn push(&self, item: Item) -> bool {
        match &self.hold {
            None => self.outbox.push(item),
            Some(hold) => hold.push(item, &self.outbox),
        }
    }

    /// A delivery of one message to this receiver alone.
    pub(super) fn item(&self, message: &dyn Encode, number: &Number) -> Item {
        let mut head = BytesMut::with_capacity(self.head_len(number));
        Item {
            kind: message.kind(),
            head: self.head(&mut head, number),
            tail: message.encode(self.dialect),
            pending: self.pending(number),
        }
    }
}

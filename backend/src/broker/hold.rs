//! What is published to a subscription while older messages are fetched for it.
//!
//! The subscription is registered first, so that nothing is missed; its
//! deliveries wait in a queue of their own, as bounded as the outbox. Released,
//! they follow the older messages, less those that were among these already.

use bytes::Bytes;
use parking_lot::Mutex;

use super::Published;
use super::outbox::{Item, Outbox, OutboxState};

/// Deliveries that wait.
#[derive(Debug)]
pub(super) struct Hold(Mutex<Option<Outbox>>);

/// More was held back than the outbox may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more was published than can wait for the older messages")]
pub struct HoldOverflow {
    /// Deliveries that were lost.
    pub dropped: u64,
}

impl Hold {
    /// Holds back deliveries of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self(Mutex::new(Some(Outbox::new(limit))))
    }

    /// Takes a delivery: keeps it, or passes it on once released.
    pub(super) fn push(&self, item: Item, outbox: &Outbox) -> bool {
        match &*self.0.lock() {
            Some(waiting) => waiting.push(item),
            None => outbox.push(item),
        }
    }

    /// Puts `older` into the outbox, then what waits, but for deliveries whose
    /// tail is one of `known`: each of these stands for one delivery.
    ///
    /// # Errors
    ///
    /// Deliveries were lost, because more waited than may.
    pub(super) fn release(
        &self,
        outbox: &Outbox,
        older: Vec<Item>,
        mut known: Vec<Bytes>,
    ) -> Result<Published, HoldOverflow> {
        // Locked until the outbox has all, so that no publisher overtakes.
        let mut hold = self.0.lock();
        let mut published = Published::default();
        let Some(waiting) = hold.take() else {
            return Ok(published);
        };
        if waiting.state() != OutboxState::Open {
            return Err(HoldOverflow { dropped: waiting.close().dropped });
        }
        let mut live = Vec::new();
        waiting.take(&mut live, usize::MAX, usize::MAX);
        for item in older {
            if outbox.push(item) {
                published.delivered += 1;
            } else {
                published.dropped += 1;
            }
        }
        for item in live {
            if let Some(at) = known.iter().position(|tail| *tail == item.tail) {
                known.swap_remove(at);
            } else if !outbox.push(item) {
                // Taken ones were counted by their publisher.
                published.dropped += 1;
            }
        }
        Ok(published)
    }
}

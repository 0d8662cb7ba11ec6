//! What waits to be written, bounded in messages and bytes.
//!
//! A message stays here until it is in the database, so that history finds it
//! in one place or the other, and a failed write loses nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::id::{MessageId, Sequence};
use super::{Kept, Stored};

/// What a waiting message takes besides its texts, in bytes, about.
const OVERHEAD: usize = 128;

/// Bounds of the queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Messages that may wait.
    pub(super) messages: usize,
    /// Bytes that may wait.
    pub(super) bytes: usize,
    /// Messages that are worth a write at once.
    pub(super) batch: usize,
}

#[derive(Debug)]
struct Inner {
    waiting: VecDeque<Arc<Kept>>,
    bytes: usize,
    sequence: Sequence,
    closed: bool,
    /// Messages refused since there was room last.
    refused: u64,
}

/// The messages that wait to be written, oldest first.
#[derive(Debug)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    limits: Limits,
    changed: Notify,
}

impl Queue {
    pub(super) fn new(limits: Limits, node: u64) -> Self {
        let inner = Inner {
            waiting: VecDeque::new(),
            bytes: 0,
            sequence: Sequence::new(node),
            closed: false,
            refused: 0,
        };
        Self { inner: Mutex::new(inner), limits, changed: Notify::new() }
    }

    /// Adds a message.
    ///
    /// # Errors
    ///
    /// There is no room for it; how many were refused in a row, this one
    /// included.
    pub(super) fn push(&self, message: Stored) -> Result<(), u64> {
        let size = size(&message);
        let waiting = {
            let mut inner = self.inner.lock();
            let full = inner.waiting.len() >= self.limits.messages || inner.bytes + size > self.limits.bytes;
            if full || inner.closed {
                inner.refused += 1;
                return Err(inner.refused);
            }
            let id = inner.sequence.next(message.timestamp);
            inner.waiting.push_back(Arc::new(Kept { id, message }));
            inner.bytes += size;
            inner.waiting.len()
        };
        if waiting == 1 || waiting == self.limits.batch {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Whether messages were refused and half of the room is free again: how
    /// many.
    pub(super) fn relieved(&self) -> Option<u64> {
        let mut inner = self.inner.lock();
        let roomy = inner.waiting.len() <= self.limits.messages / 2 && inner.bytes <= self.limits.bytes / 2;
        if inner.refused == 0 || !roomy {
            return None;
        }
        Some(std::mem::take(&mut inner.refused))
    }

    /// The oldest messages, of at most `bytes` and at least one, which stay.
    pub(super) fn front(&self, bytes: usize) -> Vec<Arc<Kept>> {
        let inner = self.inner.lock();
        let mut taken = 0;
        let fits = |kept: &&Arc<Kept>| {
            let first = taken == 0;
            taken += size(&kept.message);
            first || taken <= bytes
        };
        inner.waiting.iter().take(self.limits.batch).take_while(fits).cloned().collect()
    }

    /// Removes as many messages from the front, which the database has now.
    pub(super) fn remove(&self, count: usize) {
        let mut inner = self.inner.lock();
        let count = count.min(inner.waiting.len());
        let freed: usize = inner.waiting.drain(..count).map(|kept| size(&kept.message)).sum();
        inner.bytes -= freed;
    }

    /// Takes nothing more. Returns how many messages are given up.
    pub(super) fn close(&self) -> usize {
        let mut inner = self.inner.lock();
        inner.closed = true;
        inner.bytes = 0;
        std::mem::take(&mut inner.waiting).len()
    }

    /// The last `limit` messages of a destination that wait, before `before`,
    /// oldest first.
    pub(super) fn last(&self, destination: &str, before: Option<MessageId>, limit: usize) -> Vec<Arc<Kept>> {
        let inner = self.inner.lock();
        let fits = |kept: &&Arc<Kept>| {
            kept.message.destination == destination && before.is_none_or(|before| kept.id < before)
        };
        let mut last: Vec<_> = inner.waiting.iter().rev().filter(fits).take(limit).cloned().collect();
        last.reverse();
        last
    }

    /// How many messages wait.
    pub(super) fn len(&self) -> usize {
        self.inner.lock().waiting.len()
    }

    /// How many bytes wait, about.
    pub(super) fn bytes(&self) -> usize {
        self.inner.lock().bytes
    }

    /// Waits until as many messages are there. Only one task may wait.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(super) async fn filled(&self, count: usize) {
        while self.len() < count {
            self.changed.notified().await;
        }
    }
}

fn size(message: &Stored) -> usize {
    OVERHEAD + message.destination.len() + message.content_type.len() + message.body.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn message(destination: &str, body: &'static str) -> Stored {
        Stored {
            destination: destination.to_owned(),
            content_type: String::new(),
            body: Bytes::from_static(body.as_bytes()),
            timestamp: 7,
        }
    }

    fn queue(messages: usize, bytes: usize) -> Queue {
        Queue::new(Limits { messages, bytes, batch: 3 }, 1)
    }

    fn bodies(kept: &[Arc<Kept>]) -> Vec<&[u8]> {
        kept.iter().map(|kept| &kept.message.body[..]).collect()
    }

    #[test]
    fn it_is_full_at_its_messages_and_at_its_bytes() {
        let few = queue(2, 1 << 20);
        assert_eq!([(); 4].map(|()| few.push(message("a", "x"))), [Ok(()), Ok(()), Err(1), Err(2)]);
        assert_eq!(few.relieved(), None);
        few.remove(1);
        assert_eq!((few.relieved(), few.relieved()), (Some(2), None));
        let small = queue(100, 2 * (OVERHEAD + 2));
        assert_eq!([(); 3].map(|()| small.push(message("a", "x"))), [Ok(()), Ok(()), Err(1)]);
        small.remove(1);
        assert_eq!([(); 2].map(|()| small.push(message("a", "x"))), [Ok(()), Err(2)]);
        assert_eq!(small.close(), 2);
        assert_eq!(small.push(message("a", "x")), Err(3), "closed");
        assert_eq!((small.len(), small.bytes()), (0, 0));
    }

    #[test]
    fn a_batch_is_bounded_and_stays_until_it_is_removed() {
        let queue = queue(10, 1 << 20);
        for body in ["1", "2", "3", "4"] {
            queue.push(message("a", body)).unwrap();
        }
        assert_eq!(bodies(&queue.front(1 << 20)), [b"1", b"2", b"3"]);
        assert_eq!(bodies(&queue.front(2 * (OVERHEAD + 2))), [b"1", b"2"]);
        assert_eq!(bodies(&queue.front(0)), [b"1"], "one goes, however large");
        queue.remove(3);
        assert_eq!(bodies(&queue.front(1 << 20)), [b"4"]);
    }

    #[test]
    fn what_waits_is_found_by_destination_and_id() {
        let queue = queue(10, 1 << 20);
        for (destination, body) in [("a", "1"), ("b", "2"), ("a", "3"), ("a", "4")] {
            queue.push(message(destination, body)).unwrap();
        }
        let last = queue.last("a", None, 2);
        assert_eq!(bodies(&last), [b"3", b"4"]);
        assert_eq!(bodies(&queue.last("a", Some(last[0].id), 2)), [b"1"]);
    }

    #[tokio::test]
    async fn the_writer_wakes_for_the_first_message_and_for_a_whole_batch() {
        let queue = Arc::new(queue(10, 1 << 20));
        let (first, batch) = (queue.filled(1), queue.filled(3));
        tokio::join!(first, async { queue.push(message("a", "1")).unwrap() });
        tokio::join!(batch, async {
            queue.push(message("a", "2")).unwrap();
            queue.push(message("a", "3")).unwrap();
        });
    }
}

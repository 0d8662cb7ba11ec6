//! The bounded queue of one connection.
//!
//! Many publishers push, one writer takes. The lock is held for a push or a
//! take only, never across a write to the socket. When the bytes that wait
//! would exceed the limit the outbox overflows: what waits is dropped and
//! counted, every later push is refused, and the writer closes the connection.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Whether bytes are UTF-8, which a carrier may need to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8 throughout.
    Text,
    /// Anything.
    Binary,
}

/// Something to write: a head of its own and a tail shared with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Of head and tail together.
    pub kind: Kind,
    /// This connection's part.
    pub head: Bytes,
    /// The part shared by all receivers of a message.
    pub tail: Bytes,
}

impl Item {
    /// Text that is shared with nobody.
    #[must_use]
    pub fn whole(head: Bytes) -> Self {
        Self { kind: Kind::Text, head, tail: Bytes::new() }
    }

    /// Bytes on the wire, without framing.
    #[must_use]
    pub fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Head and tail in one piece; copies only when there are two. Called just
    /// before writing, so that waiting copies of a message share its tail.
    #[must_use]
    pub fn join(self) -> Bytes {
        if self.tail.is_empty() {
            return self.head;
        }
        let mut bytes = BytesMut::with_capacity(self.len());
        bytes.extend_from_slice(&self.head);
        bytes.extend_from_slice(&self.tail);
        bytes.freeze()
    }
}

/// Whether an outbox still takes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutboxState {
    /// Takes items.
    #[default]
    Open,
    /// The limit was exceeded; the connection must close.
    Overflowed,
    /// The connection is gone.
    Closed,
}

#[derive(Debug, Default)]
struct Inner {
    queue: VecDeque<Item>,
    bytes: usize,
    state: OutboxState,
    dropped: u64,
}

/// The queue of one connection.
#[derive(Debug)]
pub struct Outbox {
    inner: Mutex<Inner>,
    filled: Notify,
    limit: usize,
}

impl Outbox {
    /// An empty queue for at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { inner: Mutex::default(), filled: Notify::new(), limit }
    }

    /// Adds an item; false when it was dropped, because the outbox is full
    /// (which makes it overflow) or no longer open.
    pub fn push(&self, item: Item) -> bool {
        let taken = {
            let mut inner = self.inner.lock();
            if inner.state != OutboxState::Open {
                return false;
            }
            let bytes = inner.bytes + item.len();
            if bytes > self.limit {
                inner.state = OutboxState::Overflowed;
                inner.clear();
                false
            } else {
                inner.bytes = bytes;
                inner.queue.push_back(item);
                if inner.queue.len() > 1 {
                    // The writer was woken by the first one.
                    return true;
                }
                true
            }
        };
        self.filled.notify_one();
        taken
    }

    /// Moves items to `batch` until it holds `items` or about `bytes`.
    pub fn take(&self, batch: &mut Vec<Item>, items: usize, bytes: usize) {
        let mut taken = 0;
        let mut inner = self.inner.lock();
        while batch.len() < items && taken < bytes {
            let Some(item) = inner.queue.pop_front() else {
                // Most connections idle: keep no buffer for them.
                inner.queue = VecDeque::new();
                return;
            };
            taken += item.len();
            inner.bytes -= item.len();
            batch.push(item);
        }
    }

    /// Waits until there is something to take, or an overflow. Only one task may
    /// wait on an outbox.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn filled(&self) {
        self.wait(|inner| !inner.queue.is_empty() || inner.state == OutboxState::Overflowed).await;
    }

    /// Waits until it overflows: what a writer does while a write blocks. Only
    /// one task may wait on an outbox.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn overflowed(&self) {
        self.wait(|inner| inner.state == OutboxState::Overflowed).await;
    }

    async fn wait(&self, until: impl Fn(&Inner) -> bool) {
        while !until(&self.inner.lock()) {
            self.filled.notified().await;
        }
    }

    /// Whether it still takes something.
    #[must_use]
    pub fn state(&self) -> OutboxState {
        self.inner.lock().state
    }

    /// Bytes that wait.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.inner.lock().bytes
    }

    /// Takes nothing more and forgets what waits. Returns how many items were
    /// forgotten, now or by an overflow; those that [`push`](Self::push) refused
    /// are known to its caller.
    pub fn close(&self) -> u64 {
        let mut inner = self.inner.lock();
        inner.clear();
        inner.state = OutboxState::Closed;
        std::mem::take(&mut inner.dropped)
    }
}

impl Inner {
    /// Drops all that waits, and counts it.
    fn clear(&mut self) {
        let waiting = std::mem::take(&mut self.queue).len();
        self.dropped += u64::try_from(waiting).unwrap_or(u64::MAX);
        self.bytes = 0;
    }
}

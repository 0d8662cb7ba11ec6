//! The bounded queue of one connection.
//!
//! Many publishers push, one writer takes. The lock is held for a push or a
//! take only, never across a write to the socket. When the bytes that wait
//! would exceed the limit the outbox overflows: what waits is dropped and
//! counted, every later push is refused, and the writer closes the connection.
//!
//! Messages that must be acknowledged pass a window first ([`ack`](super::ack)):
//! what is held back there waits as well, and what is not settled, held back or
//! in flight, has the same limit of its own.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::ack::{Acknowledging, Pending, Settled, UnknownMessage, Verdict, WindowId, Windows};

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
    /// The window that it passes.
    pub(super) pending: Option<Pending>,
}

impl Item {
    /// Text that is shared with nobody.
    #[must_use]
    pub fn whole(head: Bytes) -> Self {
        Self { kind: Kind::Text, head, tail: Bytes::new(), pending: None }
    }

    /// Bytes that are shared with nobody.
    #[must_use]
    pub fn binary(head: Bytes) -> Self {
        Self { kind: Kind::Binary, ..Self::whole(head) }
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
    /// Too much waits; the connection must close.
    Overflowed,
    /// Too much is not acknowledged; the connection must close.
    Unacknowledged,
    /// The connection is gone.
    Closed,
}

/// What an outbox lost in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lost {
    /// Items that were forgotten, at the end or by an overflow; those that
    /// [`Outbox::push`] refused are known to its caller.
    pub dropped: u64,
    /// Copies that were not settled, written or not. They are not among the
    /// dropped.
    pub unacknowledged: u64,
}

#[derive(Debug, Default)]
struct Inner {
    queue: VecDeque<Item>,
    bytes: usize,
    state: OutboxState,
    /// Most connections have none.
    windows: Option<Box<Windows>>,
    lost: Lost,
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

    /// Adds an item, or holds it back in its window; false when it was dropped,
    /// because the outbox is full (which makes it overflow) or no longer open.
    pub fn push(&self, item: Item) -> bool {
        let mut inner = self.inner.lock();
        if inner.state != OutboxState::Open {
            return false;
        }
        let overflow = inner.overflow(&item, self.limit);
        let was_empty = inner.queue.is_empty();
        if let Some(overflow) = overflow {
            inner.state = overflow;
            inner.clear();
        } else if let Some(item) = inner.pass_window(item) {
            inner.enqueue(item);
        }
        // The writer was woken by the first item, and has nothing of one that is
        // held back.
        let wakes = overflow.is_some() || was_empty && !inner.queue.is_empty();
        drop(inner);
        if wakes {
            self.filled.notify_one();
        }
        overflow.is_none()
    }

    /// Opens a window for items that must be acknowledged.
    pub fn open_window(&self, terms: Acknowledging) -> WindowId {
        self.inner.lock().windows.get_or_insert_default().open(terms)
    }

    /// Closes a window. What is not settled is lost, and counted in
    /// [`close`](Self::close); items of the window that wait are still written.
    pub fn close_window(&self, window: WindowId) {
        let mut inner = self.inner.lock();
        let lost = inner.windows.as_mut().map_or(0, |windows| windows.close(window));
        inner.lost.unacknowledged += lost;
    }

    /// The message of this number, or all up to it, is acknowledged. What was
    /// held back takes its place.
    ///
    /// # Errors
    ///
    /// The message is not in flight in this window.
    pub fn acknowledge(&self, window: WindowId, number: u64) -> Result<Settled, UnknownMessage> {
        self.settle(Pending { window, number }, Verdict::Acknowledged)
    }

    /// The message of this number, or all up to it, is refused: delivered again,
    /// or gone if that was done before.
    ///
    /// # Errors
    ///
    /// The message is not in flight in this window.
    pub fn refuse(&self, window: WindowId, number: u64) -> Result<Settled, UnknownMessage> {
        self.settle(Pending { window, number }, Verdict::Refused)
    }

    fn settle(&self, pending: Pending, verdict: Verdict) -> Result<Settled, UnknownMessage> {
        let mut ready = Vec::new();
        let settled = {
            let mut inner = self.inner.lock();
            let windows = inner.windows.as_mut().ok_or(UnknownMessage)?;
            let settled = windows.settle(pending, verdict, &mut ready)?;
            ready.into_iter().for_each(|item| inner.enqueue(item));
            settled
        };
        self.filled.notify_one();
        Ok(settled)
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
        self.wait(|inner| !inner.queue.is_empty() || inner.is_overflowed()).await;
    }

    /// Waits until it overflows: what a writer does while a write blocks. Only
    /// one task may wait on an outbox.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn overflowed(&self) {
        self.wait(Inner::is_overflowed).await;
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

    /// Takes nothing more and forgets what waits. Returns what was lost, now or
    /// before.
    pub fn close(&self) -> Lost {
        let mut inner = self.inner.lock();
        inner.clear();
        inner.state = OutboxState::Closed;
        std::mem::take(&mut inner.lost)
    }
}

impl Inner {
    /// Drops all that waits, and counts it.
    fn clear(&mut self) {
        let waiting = std::mem::take(&mut self.queue);
        let windows = self.windows.as_ref();
        let is_kept = |item: &Item| {
            item.pending.zip(windows).is_some_and(|(pending, windows)| windows.contains(pending.window))
        };
        let dropped = waiting.iter().filter(|item| !is_kept(item)).count();
        self.lost.dropped += u64::try_from(dropped).unwrap_or(u64::MAX);
        self.lost.unacknowledged += self.windows.as_mut().map_or(0, |windows| windows.clear());
        self.windows = None;
        self.bytes = 0;
    }

    /// The item, unless its window holds it back.
    fn pass_window(&mut self, item: Item) -> Option<Item> {
        match (item.pending, &mut self.windows) {
            (Some(pending), Some(windows)) if windows.contains(pending.window) => {
                windows.offer(pending, item)
            }
            _ => Some(item),
        }
    }

    fn enqueue(&mut self, item: Item) {
        self.bytes += item.len();
        self.queue.push_back(item);
    }

    /// How one more item would be too much. What is held back is as good as
    /// queued, so that releasing it never exceeds the limit.
    fn overflow(&self, item: &Item, limit: usize) -> Option<OutboxState> {
        let (held, unsettled) =
            self.windows.as_ref().map_or((0, 0), |windows| (windows.held(), windows.unsettled()));
        let waiting = self.bytes + item.len();
        if waiting > limit {
            Some(OutboxState::Overflowed)
        } else if waiting + held > limit || item.pending.is_some() && unsettled + item.len() > limit {
            Some(OutboxState::Unacknowledged)
        } else {
            None
        }
    }

    fn is_overflowed(&self) -> bool {
        matches!(self.state, OutboxState::Overflowed | OutboxState::Unacknowledged)
    }
}

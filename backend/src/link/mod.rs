//! A session that outlives its HTTP requests: the meeting place of the task
//! that runs it and the requests that carry it. SockJS and Engine.IO build their
//! polling transports on it.
//!
//! To the client: the task [pushes](Link::push), the one request that is
//! [attached](Link::attach) takes. From the client: requests
//! [deliver](Link::deliver), the task takes. Both directions are bounded: what
//! the client does not fetch in time makes the link overflow, what the task does
//! not take makes a request wait.

mod attached;
mod table;
mod visits;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

pub use attached::Attached;
pub use table::{Table, TableFull};
use visits::Visits;

/// What a link queues for the client.
pub trait Weight {
    /// Bytes that it counts for.
    fn weight(&self) -> usize;
}

impl Weight for Bytes {
    fn weight(&self) -> usize {
        self.len()
    }
}

/// Bounds of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Messages that may wait for the client.
    pub messages: usize,
    /// Bytes that may wait for the client.
    pub bytes: usize,
    /// Messages of the client that may wait for the task.
    pub inbound: usize,
}

/// How a link ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// A close code, as of a WebSocket.
    pub code: u16,
    /// Its reason.
    pub reason: String,
}

/// What a request that is attached gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken<M = Bytes> {
    /// Messages, in order, at least one.
    Messages(Vec<M>),
    /// The session is over, and all its messages were taken.
    Closed(Close),
}

/// What happened, to the task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// A message of the client.
    Message(Bytes),
    /// A request attached.
    Attached,
    /// The attached request is over.
    Detached,
    /// An attached request broke before it was answered.
    Broken,
    /// More waits for the client than may.
    Overflowed,
}

/// Why a request cannot attach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttachError {
    /// Another one is attached.
    #[error("another request is open")]
    Busy,
}

/// Why messages cannot be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session is over")]
pub struct Over;

/// Whether more waited for the client than may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Overflow {
    No,
    /// Yes, and the task does not know yet.
    News,
    Told,
}

#[derive(Debug)]
struct Inner<M> {
    outbound: VecDeque<M>,
    outbound_bytes: usize,
    inbound: VecDeque<Bytes>,
    visits: Visits,
    overflow: Overflow,
    /// Messages that an overflow took.
    dropped: u64,
    /// When the last request left; none while one is attached.
    detached_at: Option<Instant>,
    closed: Option<Close>,
}

impl<M> Inner<M> {
    fn forget(&mut self) {
        let waiting = std::mem::take(&mut self.outbound).len();
        self.dropped += u64::try_from(waiting).unwrap_or(u64::MAX);
        self.outbound_bytes = 0;
    }
}

/// The two queues between a session's task and its requests.
#[derive(Debug)]
pub struct Link<M = Bytes> {
    inner: Mutex<Inner<M>>,
    limits: Limits,
    /// Wakes the task.
    task: Notify,
    /// Wakes the attached request.
    request: Notify,
    /// Wakes requests that wait for room.
    room: Notify,
}

impl<M: Weight> Link<M> {
    /// An empty link, with no request since `now`.
    #[must_use]
    pub fn new(limits: Limits, now: Instant) -> Self {
        Self {
            inner: Mutex::new(Inner {
                outbound: VecDeque::new(),
                outbound_bytes: 0,
                inbound: VecDeque::new(),
                visits: Visits::default(),
                overflow: Overflow::No,
                dropped: 0,
                detached_at: Some(now),
                closed: None,
            }),
            limits,
            task: Notify::new(),
            request: Notify::new(),
            room: Notify::new(),
        }
    }

    /// Task: a message for the client. False when it was dropped: too much
    /// waits, or the session is over.
    pub fn push(&self, message: M) -> bool {
        {
            let mut inner = self.inner.lock();
            if inner.closed.is_some() || inner.overflow != Overflow::No {
                inner.dropped += 1;
                return false;
            }
            let bytes = inner.outbound_bytes + message.weight();
            if inner.outbound.len() >= self.limits.messages || bytes > self.limits.bytes {
                inner.overflow = Overflow::News;
                inner.forget();
                inner.dropped += 1;
                self.task.notify_one();
                return false;
            }
            inner.outbound_bytes = bytes;
            inner.outbound.push_back(message);
        }
        self.request.notify_one();
        true
    }

    /// Task: waits for the next event. Messages of the client are held back
    /// while `reading` is false.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn event(&self, reading: bool) -> LinkEvent {
        loop {
            {
                let mut inner = self.inner.lock();
                if inner.overflow == Overflow::News {
                    inner.overflow = Overflow::Told;
                    return LinkEvent::Overflowed;
                }
                if let Some(event) = inner.visits.next() {
                    return event;
                }
                if reading && let Some(message) = inner.inbound.pop_front() {
                    drop(inner);
                    self.room.notify_one();
                    return LinkEvent::Message(message);
                }
            }
            self.task.notified().await;
        }
    }

    /// Task: ends the session. What waits can still be fetched, and the close
    /// after it, by every request from now on.
    pub fn close(&self, code: u16, reason: &str) {
        {
            let mut inner = self.inner.lock();
            if inner.closed.is_some() {
                return;
            }
            inner.closed = Some(Close { code, reason: reason.to_owned() });
            inner.inbound.clear();
        }
        self.request.notify_one();
        self.room.notify_waiters();
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.lock().closed.is_some()
    }

    /// Forgets what still waits for the client. Returns how many messages never
    /// reached a request: those, and those that [`push`](Self::push) did not
    /// take.
    pub fn abandon(&self) -> u64 {
        let mut inner = self.inner.lock();
        inner.forget();
        std::mem::take(&mut inner.dropped)
    }

    /// Since when no request is attached; none while one is.
    #[must_use]
    pub fn detached_at(&self) -> Option<Instant> {
        self.inner.lock().detached_at
    }

    /// Request: becomes the one that takes messages.
    ///
    /// # Errors
    ///
    /// Another request is attached.
    pub fn attach(self: &Arc<Self>) -> Result<Attached<M>, AttachError> {
        {
            let mut inner = self.inner.lock();
            if inner.detached_at.take().is_none() {
                return Err(AttachError::Busy);
            }
            if inner.closed.is_none() {
                inner.visits.note(LinkEvent::Attached);
            }
        }
        self.task.notify_one();
        Ok(Attached { link: Arc::clone(self), finished: false })
    }

    /// Request: messages of the client, in order. Waits while the task is
    /// behind.
    ///
    /// # Errors
    ///
    /// The session is over.
    ///
    /// # Cancel safety
    ///
    /// Dropped half way, the first messages are delivered and the rest are not.
    pub async fn deliver(&self, messages: Vec<Bytes>) -> Result<(), Over> {
        for message in messages {
            let mut waiting = Some(message);
            while let Some(message) = waiting.take() {
                let room = self.room.notified();
                tokio::pin!(room);
                room.as_mut().enable();
                {
                    let mut inner = self.inner.lock();
                    if inner.closed.is_some() {
                        return Err(Over);
                    }
                    if inner.inbound.len() < self.limits.inbound {
                        inner.inbound.push_back(message);
                    } else {
                        waiting = Some(message);
                    }
                }
                if waiting.is_none() {
                    self.task.notify_one();
                } else {
                    room.await;
                }
            }
        }
        // Another request may be waiting for room that is left.
        self.room.notify_one();
        Ok(())
    }
}

#[cfg(test)]
mod tests;

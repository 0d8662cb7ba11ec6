//! A session that outlives its HTTP requests: the meeting place of the task
//! that runs it and the requests that carry it. SockJS and Engine.IO build their
//! polling transports on it.
//!
//! To the client: the task [pushes](Link::push), the one request that is
//! [attached](Link::attach) takes. From the client: requests
//! [deliver](Link::deliver), the task takes. Both directions are bounded: what
//! the client does not fetch in time makes the link overflow, what the task does
//! not take makes a request wait.

mod table;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

pub use table::{Table, TableFull};

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
pub enum Taken {
    /// Messages, in order, at least one.
    Messages(Vec<Bytes>),
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

#[derive(Debug, Default)]
struct Inner {
    outbound: VecDeque<Bytes>,
    outbound_bytes: usize,
    inbound: VecDeque<Bytes>,
    /// For the task.
    events: VecDeque<LinkEvent>,
    attached: bool,
    overflowed: bool,
    /// When the last request left.
    detached_at: Option<Instant>,
    closed: Option<Close>,
}

/// The two queues between a session's task and its requests.
#[derive(Debug)]
pub struct Link {
    inner: Mutex<Inner>,
    limits: Limits,
    /// Wakes the task.
    task: Notify,
    /// Wakes the attached request.
    request: Notify,
    /// Wakes requests that wait for room.
    room: Notify,
}

impl Link {
    /// An empty link, with no request since `now`.
    #[must_use]
    pub fn new(limits: Limits, now: Instant) -> Self {
        Self {
            inner: Mutex::new(Inner { detached_at: Some(now), ..Inner::default() }),
            limits,
            task: Notify::new(),
            request: Notify::new(),
            room: Notify::new(),
        }
    }

    /// Task: a message for the client. False when it was dropped: too much
    /// waits, or the session is over.
    pub fn push(&self, message: Bytes) -> bool {
        {
            let mut inner = self.inner.lock();
            if inner.closed.is_some() || inner.overflowed {
                return false;
            }
            let bytes = inner.outbound_bytes + message.len();
            if inner.outbound.len() >= self.limits.messages || bytes > self.limits.bytes {
                inner.overflowed = true;
                inner.outbound.clear();
                inner.outbound_bytes = 0;
                inner.events.push_back(LinkEvent::Overflowed);
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
                if let Some(event) = inner.events.pop_front() {
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
    pub fn attach(self: &Arc<Self>) -> Result<Attached, AttachError> {
        {
            let mut inner = self.inner.lock();
            if inner.attached {
                return Err(AttachError::Busy);
            }
            inner.attached = true;
            inner.detached_at = None;
            if inner.closed.is_none() {
                inner.events.push_back(LinkEvent::Attached);
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

/// The request that takes the messages of a link; dropping it detaches.
#[derive(Debug)]
pub struct Attached {
    link: Arc<Link>,
    finished: bool,
}

impl Attached {
    /// Waits for messages, or the end. At most about `bytes` at once.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn next(&mut self, bytes: usize) -> Taken {
        loop {
            {
                let mut inner = self.link.inner.lock();
                let mut messages = Vec::new();
                let mut taken = 0;
                while taken < bytes
                    && let Some(message) = inner.outbound.pop_front()
                {
                    taken += message.len();
                    inner.outbound_bytes -= message.len();
                    messages.push(message);
                }
                if !messages.is_empty() {
                    return Taken::Messages(messages);
                }
                if let Some(close) = &inner.closed {
                    return Taken::Closed(close.clone());
                }
            }
            self.link.request.notified().await;
        }
    }

    /// The request was answered in full: its end is no broken connection.
    pub fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let mut inner = self.link.inner.lock();
        inner.attached = false;
        inner.detached_at = Some(Instant::now());
        if inner.closed.is_none() {
            let event = if self.finished { LinkEvent::Detached } else { LinkEvent::Broken };
            inner.events.push_back(event);
        }
        drop(inner);
        self.link.task.notify_one();
    }
}

#[cfg(test)]
mod tests;

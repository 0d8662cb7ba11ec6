//! The request that fetches what waits for the client.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::{Link, LinkEvent, Taken, Weight};

/// The request that takes the messages of a link; dropping it detaches.
#[derive(Debug)]
pub struct Attached<M: Weight = Bytes> {
    pub(super) link: Arc<Link<M>>,
    pub(super) finished: bool,
}

impl<M: Weight> Attached<M> {
    /// Waits for messages, or the end. At most about `bytes` at once.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn next(&mut self, bytes: usize) -> Taken<M> {
        loop {
            {
                let mut inner = self.link.inner.lock();
                let mut messages = Vec::new();
                let mut taken = 0;
                while taken < bytes
                    && let Some(message) = inner.outbound.pop_front()
                {
                    taken += message.weight();
                    inner.outbound_bytes -= message.weight();
                    messages.push(message);
                }
                if inner.outbound.is_empty() {
                    // Most sessions idle: keep no buffer for them.
                    inner.outbound = VecDeque::new();
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

impl<M: Weight> Drop for Attached<M> {
    fn drop(&mut self) {
        let mut inner = self.link.inner.lock();
        inner.detached_at = Some(Instant::now());
        if inner.closed.is_none() {
            let event = if self.finished { LinkEvent::Detached } else { LinkEvent::Broken };
            inner.visits.note(event);
        }
        drop(inner);
        self.link.task.notify_one();
    }
}

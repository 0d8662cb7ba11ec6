//! From the outbox to the carrier: batches, and clients that are too slow.

use std::sync::Arc;

use tokio::time::Instant;

use crate::broker::{Outbox, OutboxState};
use crate::endpoint::{Carrier, Services};
use crate::ws::CloseCode;

use super::Closing;
use super::connection::Connection;

/// Frames written by one system call: each is a WebSocket head and a payload,
/// and writev takes 64 pieces at most in the WebSocket library.
const BATCH_FRAMES: usize = 32;

/// Bytes that leave the outbox, and its accounting, for one write.
const BATCH_BYTES: usize = 64 * 1024;

/// An outbox that is closed, and what it forgot is counted, when its connection
/// ends in whatever way.
pub(super) struct OpenOutbox {
    outbox: Arc<Outbox>,
    services: Arc<Services>,
}

impl OpenOutbox {
    pub(super) fn new(services: &Arc<Services>) -> Self {
        let limit = services.config.stomp.send_buffer_size_limit;
        Self { outbox: Arc::new(Outbox::new(limit)), services: Arc::clone(services) }
    }

    pub(super) fn share(&self) -> Arc<Outbox> {
        Arc::clone(&self.outbox)
    }
}

impl std::ops::Deref for OpenOutbox {
    type Target = Outbox;

    fn deref(&self) -> &Outbox {
        &self.outbox
    }
}

impl Drop for OpenOutbox {
    fn drop(&mut self) {
        let lost = self.outbox.close();
        self.services.metrics.outbox_dropped.inc_by(lost.dropped);
        self.services.metrics.stomp.count_lost(lost.unacknowledged);
    }
}

impl<C: Carrier> Connection<C> {
    /// Starts the next write when none is in progress. Returns the ending when
    /// the client is too slow, or when all is written and nothing more comes.
    pub(super) fn write(&mut self, now: Instant) -> Option<Closing> {
        let too_slow = match self.outbox.state() {
            OutboxState::Overflowed => Some(("buffer", "send buffer size limit exceeded")),
            OutboxState::Unacknowledged => Some(("unacknowledged", "too much is not acknowledged")),
            OutboxState::Open | OutboxState::Closed => {
                let is_over = self.write_deadline.is_some_and(|at| now >= at);
                is_over.then_some(("time", "send time limit exceeded"))
            }
        };
        if let Some((reason, text)) = too_slow {
            self.services.metrics.slow_consumers.with_label_values(&[reason]).inc();
            return Some((CloseCode::NotReliable, text));
        }
        if self.write_deadline.is_none() {
            let mut batch = Vec::new();
            self.outbox.take(&mut batch, BATCH_FRAMES, BATCH_BYTES);
            if !batch.is_empty() {
                self.session.handle_written(now);
            }
            self.carrier.queue(&mut batch);
            if self.carrier.is_unflushed() {
                self.write_deadline = Some(now + self.services.config.stomp.send_time_limit);
            }
        }
        // A carrier that takes what it gets at once has had one batch of it.
        let all = !self.carrier.is_unflushed() && self.outbox.bytes() == 0;
        self.closing.filter(|_| all)
    }
}

//! What a client connection has carried, and when.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::reset::Reset;

/// Byte counts and activity of a client connection, above TLS.
///
/// Shared between the stream, which writes it, and the request loop, which
/// reads it for timeouts and log records.
#[derive(Debug)]
pub struct Meter {
    accepted: Instant,
    accepted_at: SystemTime,
    received: AtomicU64,
    sent: AtomicU64,
    /// Nanoseconds after `accepted` of the last byte in either direction; 0 is "none yet".
    last_byte: AtomicU64,
    /// Nanoseconds after `accepted`, plus one; 0 is "none since the last mark".
    first_byte: AtomicU64,
    /// Count of received bytes above which a request head is too long; the maximum outside of heads.
    head_end: AtomicU64,
    /// Whether the connection is to be reset.
    pub reset: Reset,
}

/// Bytes of a request head that are read at most (128 KiB): twice what the limits of a head allow, so
/// that a head a little too long is still read and answered with its own status.
pub const HEAD_LIMIT: u64 = 128 * 1024;

/// A point in a connection's life from which a request's bytes are counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mark {
    received: u64,
    sent: u64,
}

impl Meter {
    /// A meter for a connection accepted at `accepted`, which the wall clock calls `accepted_at`.
    #[must_use]
    pub const fn new(accepted: Instant, accepted_at: SystemTime) -> Self {
        Self {
            accepted,
            accepted_at,
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            last_byte: AtomicU64::new(0),
            first_byte: AtomicU64::new(0),
            head_end: AtomicU64::new(u64::MAX),
            reset: Reset::new(),
        }
    }

    /// When the connection was accepted.
    #[must_use]
    pub const fn accepted(&self) -> Instant {
        self.accepted
    }

    /// Wall-clock time of `instant`, reckoned from the accept so that times of one connection never run backwards.
    #[must_use]
    pub fn wall_clock(&self, instant: Instant) -> SystemTime {
        self.accepted_at + instant.saturating_duration_since(self.accepted)
    }

    /// Bytes received from the client since the accept.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes sent to the client since the accept.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Starts a new request: counts begin here, and the next byte is its first.
    ///
    /// `already_read` bytes of it were received together with the request before.
    pub fn mark(&self, already_read: usize) -> Mark {
        self.first_byte.store(0, Ordering::Relaxed);
        let already_read = u64::try_from(already_read).unwrap_or(u64::MAX);
        Mark { received: self.received().saturating_sub(already_read), sent: self.sent() }
    }

    /// As [`Meter::mark`], and from here until [`Meter::end_head`] no more than [`HEAD_LIMIT`] bytes are read.
    pub fn begin_head(&self, already_read: usize) -> Mark {
        let mark = self.mark(already_read);
        self.head_end.store(mark.received.saturating_add(HEAD_LIMIT), Ordering::Relaxed);
        mark
    }

    /// The request head is complete: what follows is body.
    pub fn end_head(&self) {
        self.head_end.store(u64::MAX, Ordering::Relaxed);
    }

    pub(crate) fn is_head_too_long(&self) -> bool {
        self.received() > self.head_end.load(Ordering::Relaxed)
    }

    /// When the first byte after the last [`Meter::mark`] arrived.
    #[must_use]
    pub fn first_byte(&self) -> Option<Instant> {
        match self.first_byte.load(Ordering::Relaxed) {
            0 => None,
            after => Some(self.accepted + Duration::from_nanos(after - 1)),
        }
    }

    /// When the last byte passed, in either direction; the accept if none has.
    #[must_use]
    pub fn last_byte(&self) -> Instant {
        self.accepted + Duration::from_nanos(self.last_byte.load(Ordering::Relaxed))
    }

    /// Bytes received since `mark`.
    #[must_use]
    pub fn received_since(&self, mark: Mark) -> u64 {
        self.received().saturating_sub(mark.received)
    }

    /// Bytes sent since `mark`.
    #[must_use]
    pub fn sent_since(&self, mark: Mark) -> u64 {
        self.sent().saturating_sub(mark.sent)
    }

    pub(crate) fn on_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
        let after = self.note_byte();
        if self.first_byte.load(Ordering::Relaxed) == 0 {
            self.first_byte.store(after + 1, Ordering::Relaxed);
        }
    }

    /// Notes that a byte passed now; nanoseconds since the accept.
    fn note_byte(&self) -> u64 {
        let after = Instant::now().saturating_duration_since(self.accepted).as_nanos();
        let after = u64::try_from(after).unwrap_or(u64::MAX - 1);
        self.last_byte.store(after, Ordering::Relaxed);
        after
    }

    pub(crate) fn on_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        self.note_byte();
    }
}

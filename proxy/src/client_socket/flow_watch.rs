//! What a network load balancer sees of a flow, and may do to it, once the socket
//! is served by an application load balancer of this process.
//!
//! Knows the bytes both ways, when the last of them passed, who ended the
//! connection first and that it is closed. The flow can be forgotten, so that its
//! next packet is answered with a RST, or cut, so that the RST comes at once.

use std::{
    io,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Context,
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What a network load balancer sees of a flow that another load balancer of this process serves.
#[derive(Debug)]
pub struct FlowWatch {
    begun: Instant,
    received: AtomicU64,
    sent: AtomicU64,
    /// Milliseconds after `begun` of the last byte in either direction.
    last_byte: AtomicU64,
    expired: AtomicBool,
    cut: AtomicBool,
    /// Who waits for the client's bytes, and who for room to send: woken by a cut.
    reader: AtomicWaker,
    writer: AtomicWaker,
    first_end: OnceLock<FirstEnd>,
    closed: CancellationToken,
}

/// Who ended a connection, and how: the first one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstEnd {
    /// The client, with a FIN.
    ClientFin,
    /// The client, with a RST.
    ClientReset,
    /// The client's connection broke in another way.
    ClientError,
    /// The one who serves the socket, with a FIN.
    ServerFin,
}

impl FlowWatch {
    /// A flow that begins now.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            begun: now,
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            last_byte: AtomicU64::new(0),
            expired: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
            first_end: OnceLock::new(),
            closed: CancellationToken::new(),
        }
    }

    /// Bytes from the client and to it.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (self.received.load(Ordering::Relaxed), self.sent.load(Ordering::Relaxed))
    }

    /// Who ended the connection first; `None` if it runs, or was closed without another word.
    #[must_use]
    pub fn first_end(&self) -> Option<FirstEnd> {
        self.first_end.get().copied()
    }

    /// Forgets the flow: what comes of it from now on, from either side, is answered with a RST.
    pub fn expire(&self) {
        self.expired.store(true, Ordering::Relaxed);
    }

    /// Ends the flow: whoever serves the socket is woken and finds it reset.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        self.reader.wake();
        self.writer.wake();
    }

    /// Completes when the connection is closed.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping the future.
    pub async fn ended(&self) {
        self.closed.cancelled().await;
    }

    /// Completes when no byte passed for `idle`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping the future.
    pub async fn idle(&self, idle: Duration) {
        loop {
            let last = self.begun + Duration::from_millis(self.last_byte.load(Ordering::Relaxed));
            let deadline = last + idle;
            if Instant::now() >= deadline {
                return;
            }
            tokio::time::sleep_until(deadline).await;
        }
    }

    /// Cancelled when the connection is closed.
    pub(super) const fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    pub(super) fn is_expired(&self) -> bool {
        self.expired.load(Ordering::Relaxed)
    }

    /// Whether the flow was cut; if not, the task that reads is woken when it is.
    pub(super) fn is_cut_for_reader(&self, cx: &Context<'_>) -> bool {
        // Registered before the look, so that no cut falls between the two.
        self.reader.register(cx.waker());
        self.cut.load(Ordering::Acquire)
    }

    /// Whether the flow was cut; if not, the task that writes is woken when it is.
    pub(super) fn is_cut_for_writer(&self, cx: &Context<'_>) -> bool {
        self.writer.register(cx.waker());
        self.cut.load(Ordering::Acquire)
    }

    pub(super) fn count_received(&self, bytes: usize) {
        self.count(&self.received, bytes);
    }

    pub(super) fn count_sent(&self, bytes: usize) {
        self.count(&self.sent, bytes);
    }

    /// Notes an end, unless there was one before.
    pub(super) fn note_end(&self, end: FirstEnd) {
        self.first_end.get_or_init(|| end);
    }

    /// Notes that the connection broke.
    pub(super) fn note_error(&self, error: &io::Error) {
        self.note_end(match error.kind() {
            // After a FIN of the client the system reports its RST as a broken pipe.
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => FirstEnd::ClientReset,
            _ => FirstEnd::ClientError,
        });
    }

    fn count(&self, counter: &AtomicU64, bytes: usize) {
        counter.fetch_add(bytes as u64, Ordering::Relaxed);
        let after = Instant::now().saturating_duration_since(self.begun).as_millis();
        self.last_byte.store(u64::try_from(after).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

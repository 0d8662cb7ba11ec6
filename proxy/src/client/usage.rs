//! What has been done with a connection: kept for whoever looks at it, read by no request.

use std::{
    net::SocketAddr,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// What has been done with a connection.
#[derive(Debug, Default)]
pub struct Usage {
    requests: AtomicU64,
    idle_timeout_millis: AtomicU64,
    websocket: OnceLock<SocketAddr>,
}

impl Usage {
    /// A connection that was accepted under this idle timeout.
    #[must_use]
    pub fn new(idle_timeout: Duration) -> Self {
        let usage = Self::default();
        usage.set_idle_timeout(idle_timeout);
        usage
    }

    /// Another request, under this idle timeout.
    pub fn begin_request(&self, idle_timeout: Duration) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.set_idle_timeout(idle_timeout);
    }

    /// The connection became a WebSocket to `target`, under this idle timeout.
    pub fn begin_websocket(&self, target: SocketAddr, idle_timeout: Duration) {
        self.websocket.get_or_init(|| target);
        self.set_idle_timeout(idle_timeout);
    }

    /// Requests whose heads could be read.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The target of a WebSocket.
    #[must_use]
    pub fn websocket(&self) -> Option<SocketAddr> {
        self.websocket.get().copied()
    }

    /// The idle timeout that governs the connection, scaled, in whole milliseconds.
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_millis.load(Ordering::Relaxed))
    }

    fn set_idle_timeout(&self, idle_timeout: Duration) {
        let millis = u64::try_from(idle_timeout.as_millis()).unwrap_or(u64::MAX);
        self.idle_timeout_millis.store(millis, Ordering::Relaxed);
    }
}

//! The wish that a client's connection be reset.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Tells whoever serves a connection to let go of it, and its stream to end with a RST.
///
/// A request cannot do that itself: in HTTP/2 it shares the connection with others.
#[derive(Debug)]
pub struct Reset {
    is_asked: AtomicBool,
    told: Notify,
}

impl Reset {
    pub(super) const fn new() -> Self {
        Self { is_asked: AtomicBool::new(false), told: Notify::const_new() }
    }

    /// Asks that the connection be reset.
    pub fn ask(&self) {
        self.is_asked.store(true, Ordering::Relaxed);
        self.told.notify_one();
    }

    pub(super) fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::Relaxed)
    }

    /// Completes once that was asked: for the one task that serves the connection.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping the future.
    pub async fn asked(&self) {
        self.told.notified().await;
    }
}

//! How many bytes a tunnel has passed.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Side;

/// Bytes passed in either direction, readable while the tunnel runs and after it.
///
/// A byte counts once it was written to the other side, so that the counts hold
/// also when the tunnel is cut or dropped half-way.
#[derive(Debug, Default)]
pub struct Traffic {
    from_client: AtomicU64,
    from_target: AtomicU64,
}

impl Traffic {
    /// Bytes that came from the client and were passed to the target.
    #[must_use]
    pub fn from_client(&self) -> u64 {
        self.from_client.load(Ordering::Relaxed)
    }

    /// Bytes that came from the target and were passed to the client.
    #[must_use]
    pub fn from_target(&self) -> u64 {
        self.from_target.load(Ordering::Relaxed)
    }

    /// Counts bytes that came from `side` and were passed on.
    pub(super) fn add(&self, side: Side, bytes: u64) {
        let counter = match side {
            Side::Client => &self.from_client,
            Side::Target => &self.from_target,
        };
        counter.fetch_add(bytes, Ordering::Relaxed);
    }
}

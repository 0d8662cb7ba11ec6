//! The life of the process, as far as others must know of it.

use tokio_util::sync::CancellationToken;

/// The steps of leaving. Each one follows the one before and stays.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    draining: CancellationToken,
    closing: CancellationToken,
    ending: CancellationToken,
    aborting: CancellationToken,
    flushing: CancellationToken,
}

impl Lifecycle {
    /// Readiness is off and responses say `Connection: close`; clients hear the
    /// [`Notice`](super::Notice) and may leave by themselves.
    #[must_use]
    pub fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// No connection is accepted and no session begins; sessions close, each
    /// after its jitter.
    #[must_use]
    pub fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Idle HTTP connections close.
    #[must_use]
    pub fn ending(&self) -> &CancellationToken {
        &self.ending
    }

    /// Whatever connection is left is dropped.
    #[must_use]
    pub fn aborting(&self) -> &CancellationToken {
        &self.aborting
    }

    /// No session is left and nothing new is published: what the relay and the
    /// store still hold is written, and they end.
    #[must_use]
    pub fn flushing(&self) -> &CancellationToken {
        &self.flushing
    }
}

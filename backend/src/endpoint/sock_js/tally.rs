//! What is counted of a session, from its beginning to its end.

use std::sync::Arc;

use crate::endpoint::Services;
use crate::metrics::Active;

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// Either side closed it, or STOMP did.
    Session,
    /// No receiver came for the disconnect delay.
    Abandoned,
    /// The connection broke.
    Interrupted,
    /// Bad JSON on a WebSocket, or no WebSocket frames.
    Malformed,
    /// Too much waited for a receiver.
    Overflow,
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Abandoned => "abandoned",
            Self::Interrupted => "interrupted",
            Self::Malformed => "malformed",
            Self::Overflow => "overflow",
        }
    }
}

/// Counts a session as open; dropped, as closed.
#[derive(Debug)]
pub(super) struct Tally {
    services: Arc<Services>,
    reason: Reason,
    _active: Active,
}

impl Tally {
    /// A session begins, with this transport in Spring's words.
    pub(super) fn new(services: &Arc<Services>, transport: &str) -> Self {
        let metrics = &services.metrics.sock_js;
        metrics.sessions_opened.with_label_values(&[transport]).inc();
        let active = Active::new(&metrics.sessions_active.with_label_values(&[transport]));
        Self { services: Arc::clone(services), reason: Reason::Session, _active: active }
    }

    /// Why it will have ended.
    pub(super) fn end(&mut self, reason: Reason) {
        self.reason = reason;
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let closed = &self.services.metrics.sock_js.sessions_closed;
        closed.with_label_values(&[self.reason.as_str()]).inc();
    }
}

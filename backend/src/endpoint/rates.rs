//! What one session may send in a second, in messages and in bytes.

use tokio::time::{Duration, Instant};

use crate::config::{LimitsConfig, WhenExceeded};
use crate::limits::Gcra;
use crate::metrics::AuthMetrics;

/// More was sent than may be, of this: `messages`, `bytes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exceeded(pub(super) &'static str);

/// The accounts of one session.
#[derive(Debug)]
pub(super) struct Rates {
    messages: Option<Gcra>,
    bytes: Option<Gcra>,
    when_exceeded: WhenExceeded,
    /// Until when nothing more is to be read.
    pub(super) slowed_until: Option<Instant>,
}

impl Rates {
    /// Nothing is sent yet.
    pub(super) fn new(limits: &LimitsConfig, now: Instant) -> Self {
        Self {
            messages: limits.messages().map(|rate| Gcra::new(rate, now)),
            bytes: limits.bytes().map(|rate| Gcra::new(rate, now)),
            when_exceeded: limits.when_exceeded,
            slowed_until: None,
        }
    }

    /// Charges a message that came, and counts one that is too much.
    pub(super) fn charge_message(&mut self, metrics: &AuthMetrics, now: Instant) -> Result<(), Exceeded> {
        let wait = self.messages.as_ref().and_then(|account| account.charge(now, 1));
        self.hold_back(metrics, "messages", now, wait)
    }

    /// Charges bytes that came, and counts when they are too many.
    pub(super) fn charge_bytes(
        &mut self,
        metrics: &AuthMetrics,
        now: Instant,
        bytes: usize,
    ) -> Result<(), Exceeded> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let wait = self.bytes.as_ref().and_then(|account| account.charge(now, bytes));
        self.hold_back(metrics, "bytes", now, wait)
    }

    /// Lets a client that was slowed down go on; whether it was.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        self.slowed_until.take_if(|at| now >= *at).is_some()
    }

    fn hold_back(
        &mut self,
        metrics: &AuthMetrics,
        limit: &'static str,
        now: Instant,
        wait: Option<Duration>,
    ) -> Result<(), Exceeded> {
        let Some(wait) = wait else { return Ok(()) };
        if self.slowed_until.is_none() {
            metrics.limits_exceeded.with_label_values(&[limit]).inc();
        }
        match self.when_exceeded {
            WhenExceeded::SlowDown => {
                self.slowed_until = self.slowed_until.max(now.checked_add(wait));
                Ok(())
            }
            WhenExceeded::Close => Err(Exceeded(limit)),
        }
    }
}

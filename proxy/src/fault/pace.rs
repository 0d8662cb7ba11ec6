//! Bytes at a limited rate.

use std::time::Duration;

use tokio::time::Instant;

/// Pieces per second in which slowed bytes come, if the rate allows: silence between them is short, as on a
/// slow line.
const PIECES_PER_SECOND: f64 = 10.0;

/// When how many bytes may pass. Pure: the time is an argument.
#[derive(Debug, Clone, PartialEq)]
pub struct Pace {
    bytes_per_second: f64,
    /// When the next byte may pass; `None` before the first.
    next: Option<Instant>,
}

impl Pace {
    /// So many bytes per second, more than 0.
    #[must_use]
    pub const fn new(bytes_per_second: f64) -> Self {
        Self { bytes_per_second, next: None }
    }

    /// When the next bytes may pass.
    #[must_use]
    pub fn due(&self, now: Instant) -> Instant {
        self.next.unwrap_or(now).max(now)
    }

    /// How many bytes may pass at once: at least 1.
    #[must_use]
    pub fn piece(&self) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive number, and the conversion saturates"
        )]
        let piece = (self.bytes_per_second / PIECES_PER_SECOND) as usize;
        piece.max(1)
    }

    /// Takes in that `bytes` passed at `now`: the next may when these have had their time.
    pub fn note(&mut self, bytes: usize, now: Instant) {
        let takes = Duration::try_from_secs_f64(bytes as f64 / self.bytes_per_second);
        let due = self.due(now);
        self.next = due.checked_add(takes.unwrap_or(Duration::MAX)).or(Some(due));
    }
}

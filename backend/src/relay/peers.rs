//! How many instances there are, and should be.

use std::time::Duration;

use tokio::time::Instant;

/// How long an instance that left is waited for.
const MEMORY: Duration = Duration::from_secs(60);

/// Follows the number of connected instances.
#[derive(Debug, Default)]
pub(super) struct Peers {
    connected: u64,
    known: u64,
    /// Since when fewer are connected than are known.
    fewer: Option<Instant>,
}

impl Peers {
    /// So many instances are connected, this one included.
    pub(super) fn counted(&mut self, now: Instant, connected: u64) {
        self.connected = connected;
        let is_fewer = connected < self.known;
        let since = *self.fewer.get_or_insert(now);
        if !is_fewer || now.saturating_duration_since(since) >= MEMORY {
            self.known = connected;
            self.fewer = None;
        }
    }

    /// Whether an instance that was there a minute ago is away: left, or cut
    /// off.
    pub(super) fn is_someone_away(&self) -> bool {
        self.connected < self.known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_missed_for_a_minute() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut peers = Peers::default();
        peers.counted(at(0), 3);
        assert!(!peers.is_someone_away());
        peers.counted(at(1), 2);
        assert!(peers.is_someone_away());
        peers.counted(at(60), 2);
        assert!(peers.is_someone_away());
        peers.counted(at(61), 2);
        assert!(!peers.is_someone_away());
        peers.counted(at(62), 1);
        peers.counted(at(63), 2);
        assert!(!peers.is_someone_away());
    }
}

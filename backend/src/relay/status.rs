//! What health says about the relay.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::metrics::RelayMetrics;

/// The state of the relay, as of the last PING.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayStatus {
    /// Whether messages come and go.
    pub is_connected: bool,
    /// For how long that has been so.
    pub since: Duration,
    /// Why the relay is, or was last, cut off. Never holds a password.
    pub last_error: Option<String>,
    /// `redis_version` of the server connected to last.
    pub server_version: Option<String>,
    /// How long the last PING took.
    pub ping: Option<Duration>,
    /// Instances of ours on the relay, this one included, where it can be told.
    pub instances: Option<u64>,
    /// Runs of messages that did not come, since the start.
    pub gaps: u64,
    /// Messages that did not come, since the start.
    pub missed: u64,
    /// Messages thrown away on either way, since the start.
    pub dropped: u64,
}

/// Where the relay's tasks write it.
#[derive(Debug)]
pub(super) struct StatusCell(Mutex<State>);

#[derive(Debug)]
struct State {
    is_connected: bool,
    was_connected: bool,
    changed: Instant,
    last_error: Option<String>,
    server_version: Option<String>,
    ping: Option<Duration>,
    instances: Option<u64>,
}

impl StatusCell {
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new(State {
            is_connected: false,
            was_connected: false,
            changed: now,
            last_error: None,
            server_version: None,
            ping: None,
            instances: None,
        }))
    }

    /// For how long the relay was cut off, if it was connected before.
    pub(super) fn connected(&self, now: Instant, server_version: Option<String>) -> Option<Duration> {
        let mut state = self.0.lock();
        let cut_off = now.saturating_duration_since(state.changed);
        state.is_connected = true;
        state.changed = now;
        state.server_version = server_version;
        std::mem::replace(&mut state.was_connected, true).then_some(cut_off)
    }

    /// Whether the relay was connected until now.
    pub(super) fn disconnected(&self, now: Instant, error: String) -> bool {
        let mut state = self.0.lock();
        let was_connected = std::mem::replace(&mut state.is_connected, false);
        if was_connected {
            state.changed = now;
        }
        state.last_error = Some(error);
        state.ping = None;
        state.instances = None;
        was_connected
    }

    pub(super) fn pinged(&self, took: Duration, instances: Option<u64>) {
        let mut state = self.0.lock();
        state.ping = Some(took);
        state.instances = instances;
    }

    pub(super) fn read(&self, now: Instant, metrics: &RelayMetrics) -> RelayStatus {
        let state = self.0.lock();
        let dropped = ["buffer", "inbox", "malformed", "refused", "size", "unconfirmed"];
        RelayStatus {
            is_connected: state.is_connected,
            since: now.saturating_duration_since(state.changed),
            last_error: state.last_error.clone(),
            server_version: state.server_version.clone(),
            ping: state.ping,
            instances: state.instances,
            gaps: metrics.gaps.get(),
            missed: metrics.missed.get(),
            dropped: dropped.iter().map(|reason| metrics.dropped.with_label_values(&[reason]).get()).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn the_state_lasts_until_it_changes() {
        let metrics = Metrics::try_new().unwrap().relay;
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let cell = StatusCell::new(start);
        assert!(!cell.disconnected(at(1), "connection refused".to_owned()));
        assert_eq!(cell.read(at(3), &metrics).since, Duration::from_secs(3));
        assert_eq!(cell.connected(at(4), Some("7.0.15".to_owned())), None);
        cell.pinged(Duration::from_millis(1), Some(2));
        let status = cell.read(at(5), &metrics);
        assert!(status.is_connected);
        assert_eq!((status.since, status.instances), (Duration::from_secs(1), Some(2)));
        assert!(cell.disconnected(at(6), "reset".to_owned()));
        assert!(!cell.disconnected(at(8), "refused".to_owned()));
        metrics.dropped.with_label_values(&["size"]).inc();
        let status = cell.read(at(9), &metrics);
        assert!(!status.is_connected);
        assert_eq!((status.ping, status.dropped, status.last_error.as_deref()), (None, 1, Some("refused")));
        assert_eq!(cell.connected(at(10), None), Some(Duration::from_secs(4)));
    }
}

//! Tells clients that they may have missed messages.

use std::time::Duration;

use tokio::time::Instant;

/// Between two notices: what is missed meanwhile is told together.
const INTERVAL: Duration = Duration::from_secs(1);

/// Clients may have missed messages of other instances, and should ask for what
/// they show again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resync {
    /// So many messages that did not come were counted.
    pub missed: u64,
    /// The relay was cut off for so long, in which unknown messages may have
    /// passed by.
    pub cut_off: Option<Duration>,
}

impl Resync {
    /// Where clients hear of it. Not where they hear that a server leaves: a front
    /// end written for another service knows that notice only.
    pub const DESTINATION: &str = "/topic/server.resync";

    /// The notice as clients get it:
    /// `{"missed":3,"disconnectedMs":2000}`, the second field
    /// null unless the relay was cut off.
    #[must_use]
    pub fn to_json(self) -> String {
        let cut_off = self.cut_off.map_or_else(|| "null".to_owned(), |time| time.as_millis().to_string());
        format!(r#"{{"missed":{},"disconnectedMs":{cut_off}}}"#, self.missed)
    }
}

/// Joins what is missed to notices at intervals.
#[derive(Debug, Default)]
pub(super) struct Notices {
    pending: Option<Resync>,
    last: Option<Instant>,
}

impl Notices {
    pub(super) fn missed(&mut self, count: u64) {
        self.pending.get_or_insert_default().missed += count;
    }

    pub(super) fn was_cut_off(&mut self, time: Duration) {
        self.pending.get_or_insert_default().cut_off = Some(time);
    }

    /// When the next notice is due.
    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        self.pending.map(|_| self.last.map_or(now, |last| last + INTERVAL))
    }

    /// The notice that is due.
    pub(super) fn poll_output(&mut self, now: Instant) -> Option<Resync> {
        if self.poll_timeout(now)? > now {
            return None;
        }
        self.last = Some(now);
        self.pending.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_told_at_once_and_then_together() {
        let start = Instant::now();
        let mut notices = Notices::default();
        assert_eq!(notices.poll_timeout(start), None);
        notices.missed(2);
        assert_eq!(notices.poll_output(start), Some(Resync { missed: 2, cut_off: None }));
        notices.missed(3);
        notices.was_cut_off(Duration::from_millis(2600));
        notices.missed(4);
        assert_eq!(notices.poll_output(start), None);
        assert_eq!(notices.poll_timeout(start), Some(start + INTERVAL));
        let notice = notices.poll_output(start + INTERVAL).unwrap();
        assert_eq!(notice.to_json(), r#"{"missed":7,"disconnectedMs":2600}"#);
        assert_eq!(notices.poll_output(start + INTERVAL * 9), None);
        assert_eq!(Resync::default().to_json(), r#"{"missed":0,"disconnectedMs":null}"#);
    }
}

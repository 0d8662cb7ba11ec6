//! Heart-beats: when to send one, and when the peer is gone.
//!
//! STOMP 1.2, "Heart-beating". The sender must send *at least* every interval,
//! so one is sent after nine tenths of it without other traffic; the receiver
//! allows three times the interval, as Spring's broker does.

use tokio::time::{Duration, Instant};

/// The agreed intervals of a session and the last signs of life.
#[derive(Debug, Clone, Copy)]
pub struct HeartBeat {
    /// Longest silence of ours.
    send: Option<Duration>,
    /// Longest silence of the peer, margin included.
    receive: Option<Duration>,
    last_sent: Instant,
    last_received: Instant,
}

/// The receiver's margin: this many intervals may pass in silence.
const RECEIVE_MARGIN: u32 = 3;

/// One heart-beat on the wire.
pub const BEAT: &[u8] = b"\n";

/// Parses a `heart-beat` header: two numbers of milliseconds, `<sends>,<wants>`.
#[must_use]
pub fn parse(header: &str) -> Option<(Duration, Duration)> {
    let (sends, wants) = header.split_once(',')?;
    let millis = |text: &str| text.trim().parse::<u32>().ok().map(u64::from);
    Some((Duration::from_millis(millis(sends)?), Duration::from_millis(millis(wants)?)))
}

impl HeartBeat {
    /// Agrees on intervals: in each direction the larger of what one side can
    /// do and the other wants, none where either says zero. Both pairs are
    /// (sends, wants).
    #[must_use]
    pub fn negotiate(server: (Duration, Duration), client: (Duration, Duration), now: Instant) -> Self {
        let agree = |sender: Duration, receiver: Duration| {
            (!sender.is_zero() && !receiver.is_zero()).then(|| sender.max(receiver))
        };
        Self {
            send: agree(server.0, client.1).map(|interval| interval * 9 / 10),
            receive: agree(client.0, server.1).map(|interval| interval * RECEIVE_MARGIN),
            last_sent: now,
            last_received: now,
        }
    }

    /// Whether the server never stays silent longer than `interval`.
    #[must_use]
    pub fn sends_within(&self, interval: Duration) -> bool {
        self.send.is_some_and(|send| send <= interval)
    }

    /// Something was written to the peer.
    pub fn sent(&mut self, now: Instant) {
        self.last_sent = now;
    }

    /// Something came from the peer; any bytes count.
    pub fn received(&mut self, now: Instant) {
        self.last_received = now;
    }

    /// Whether a heart-beat is due.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        self.send.is_some_and(|interval| now >= self.last_sent + interval)
    }

    /// Whether the peer was silent too long.
    #[must_use]
    pub fn is_missed(&self, now: Instant) -> bool {
        self.receive.is_some_and(|limit| now >= self.last_received + limit)
    }

    /// When to look again.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let send = self.send.map(|interval| self.last_sent + interval);
        let receive = self.receive.map(|limit| self.last_received + limit);
        send.into_iter().chain(receive).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn each_direction_takes_the_larger_interval() {
        let now = Instant::now();
        let beat = HeartBeat::negotiate((ms(10_000), ms(10_000)), (ms(4_000), ms(20_000)), now);
        assert_eq!(beat.send, Some(ms(18_000)));
        assert_eq!(beat.receive, Some(ms(30_000)));
    }

    #[test]
    fn zero_on_either_side_switches_a_direction_off() {
        let now = Instant::now();
        let beat = HeartBeat::negotiate((ms(10_000), ms(0)), (ms(5_000), ms(0)), now);
        assert_eq!((beat.send, beat.receive), (None, None));
        assert_eq!(beat.poll_timeout(), None);
    }

    #[test]
    fn a_beat_is_due_before_the_interval_ends_and_traffic_postpones_it() {
        let now = Instant::now();
        let mut beat = HeartBeat::negotiate((ms(1000), ms(0)), (ms(0), ms(1000)), now);
        assert!(!beat.is_due(now + ms(899)));
        assert!(beat.is_due(now + ms(900)));
        beat.sent(now + ms(500));
        assert!(!beat.is_due(now + ms(1399)));
        assert_eq!(beat.poll_timeout(), Some(now + ms(1400)));
    }

    #[test]
    fn a_peer_silent_for_three_intervals_is_missed() {
        let now = Instant::now();
        let mut beat = HeartBeat::negotiate((ms(0), ms(1000)), (ms(1000), ms(0)), now);
        assert!(!beat.is_missed(now + ms(2999)));
        assert!(beat.is_missed(now + ms(3000)));
        beat.received(now + ms(2999));
        assert!(!beat.is_missed(now + ms(5998)));
    }

    #[test]
    fn headers_parse_strictly() {
        assert_eq!(parse("10000,0"), Some((ms(10_000), ms(0))));
        for text in ["", "1", "1,", "-1,0", "a,b", "1,2,3"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

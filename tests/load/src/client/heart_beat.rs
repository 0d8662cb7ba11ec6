//! When a client shows that it is alive.

use std::str::FromStr;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::target::duration;

/// What stomp.js offers, each way.
const OFFERED: Duration = Duration::from_secs(10);

/// Heart-beats of a client.
///
/// | | `none` | an interval | `negotiated` |
/// |---|---|---|---|
/// | WebSocket | – | ping frames | – |
/// | STOMP, over SockJS too | `0,0` | sent at that interval, whatever the server wants | as agreed in CONNECTED |
/// | Socket.IO | pings stay unanswered | pings answered, and ping frames | pings answered |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeartBeat {
    /// None.
    Off,
    /// At an interval of the client's own.
    Every(Duration),
    /// As the protocol agrees on when the client offers this interval.
    Negotiated(Duration),
}

impl HeartBeat {
    /// The interval that a client speaks of when it connects, zero for none.
    pub(crate) fn offered(self) -> Duration {
        match self {
            Self::Off => Duration::ZERO,
            Self::Every(interval) | Self::Negotiated(interval) => interval,
        }
    }
}

impl FromStr for HeartBeat {
    type Err = String;

    /// `none`, `negotiated` (10 s are offered), `negotiated:4s`, or an interval as
    /// `25s` or `500ms`; `0s` is none.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            _ if text == "none" => Ok(Self::Off),
            _ if text == "negotiated" => Ok(Self::Negotiated(OFFERED)),
            Some(("negotiated", interval)) => Ok(Self::Negotiated(duration(interval)?)),
            _ => match duration(text)? {
                Duration::ZERO => Ok(Self::Off),
                interval => Ok(Self::Every(interval)),
            },
        }
    }
}

/// A clock that says when to send the next beat.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pulse {
    every: Option<Duration>,
    due: Instant,
    /// The last beat.
    pub(super) beaten: Option<Instant>,
}

impl Pulse {
    /// Beats from `now` on; never with an interval of zero.
    pub(super) fn new(every: Duration, now: Instant) -> Self {
        Self { every: (!every.is_zero()).then_some(every), due: now + every, beaten: None }
    }

    /// Waits for the next beat.
    ///
    /// # Cancel safety
    /// Safe: the beat stays due.
    pub(super) async fn beat(&mut self) {
        let Some(every) = self.every else { return std::future::pending().await };
        sleep_until(self.due).await;
        self.due += every;
        self.beaten = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: HeartBeat) {
        assert_eq!(text.parse::<HeartBeat>().unwrap(), expected);
    }

    #[test]
    fn heart_beats_are_read() {
        check("none", HeartBeat::Off);
        check("0s", HeartBeat::Off);
        check("25s", HeartBeat::Every(Duration::from_secs(25)));
        check("1.5s", HeartBeat::Every(Duration::from_millis(1500)));
        check("negotiated", HeartBeat::Negotiated(OFFERED));
        check("negotiated:500ms", HeartBeat::Negotiated(Duration::from_millis(500)));
        for text in ["", "25", "s", "-1s", "25x", "negotiated:", "1e300h"] {
            assert!(text.parse::<HeartBeat>().is_err(), "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pulse_keeps_its_rhythm() {
        let start = Instant::now();
        let mut pulse = Pulse::new(Duration::from_secs(10), start);
        pulse.beat().await;
        tokio::time::advance(Duration::from_secs(3)).await;
        pulse.beat().await;
        assert_eq!(start.elapsed(), Duration::from_secs(20));
    }
}

//! When a silent tunnel ends.
//!
//! Any byte, either way, breaks the silence. TCP keepalive packets break it too
//! where they count, on an NLB. No program is told of them, and of the times
//! that `TCP_INFO` gives none moves either: Linux discards a keepalive probe,
//! which repeats a sequence number, before it notes that a packet came. But it
//! counts the probe among the packets received. So the two connections are
//! asked a few times per timeout how many packets they have received: more of
//! them although no byte passed means a keepalive. (Answers to probes of zero
//! windows count as well, as they do on the wire for an NLB.) An acknowledgement
//! of bytes is a packet too, and may come long after the bytes have passed: a
//! connection that waits for one says nothing about keepalives.
//!
//! # Keepalive packets of our own
//!
//! A TLS listener that receives a keepalive packet sends such packets to both
//! sides itself, every 20 seconds (page "Listeners for your Network Load
//! Balancers"). Their answers are packets received, which cannot be told from
//! the peers' own. The page does not say whether they restart the idle timer;
//! if they did, a tunnel whose peers have stopped to send keepalives would never
//! end as long as both hosts live. Here they do not:
//!
//! - A first packet without bytes restarts the timer. Only if the same side is
//!   heard at two looks in a row is it answered: one packet may be a stray one.
//!   (A peer whose keepalives are rarer than two looks keeps its tunnel open
//!   and is not answered.)
//! - For one idle timeout our packets are sent, and nobody listens. Then they
//!   cease, the timer begins anew, and the peers have that time to be heard
//!   again: a peer that goes on is answered again two or three looks later, and
//!   no such tunnel ends early. Without a word of either side the tunnel ends
//!   at most two idle timeouts (and two looks) after the last keepalive.

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::{net::TcpStream, time::Instant};

use self::tcp_info::TcpInfo;
use super::Keepalive;

/// Looks at the connections per timeout. A silence broken by a keepalive ends up to an eighth late, never early.
const LOOKS: u32 = 8;

/// Looks in a row that must hear a side before keepalives are answered.
const HEARD_TO_ANSWER: u32 = 2;

/// How long a tunnel has been silent.
#[derive(Debug)]
pub(super) struct Silence {
    timeout: Duration,
    keepalive: Keepalive,
    /// The client and the target.
    sides: [Heard; 2],
    looked: Instant,
    due: Instant,
    /// When a look has last shown a keepalive packet.
    kept_alive: Option<Instant>,
    /// Since when keepalive packets of our own are sent.
    answering: Option<Instant>,
}

/// What the kernel tells of a connection's packets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packets {
    /// Packets received, wrapping round.
    pub(super) received: u32,
    /// Whether packets of ours wait for their acknowledgement.
    pub(super) unacked: bool,
}

/// What was heard of a side.
#[derive(Debug, Default, Clone, Copy)]
struct Heard {
    /// Packets received at the last look, if those that come next can be a keepalive only.
    received: Option<u32>,
    /// Looks in a row that have shown a keepalive.
    in_a_row: u32,
}

impl Heard {
    /// Whether a keepalive has come since the last look; `quiet`: no byte has.
    fn hear(&mut self, packets: Option<Packets>, quiet: bool) -> bool {
        let settled = packets.filter(|packets| !packets.unacked).map(|packets| packets.received);
        let heard = quiet && self.received.zip(settled).is_some_and(|(before, now)| before != now);
        self.in_a_row = if heard { self.in_a_row.saturating_add(1) } else { 0 };
        self.received = settled;
        heard
    }
}

impl Silence {
    pub(super) fn new(now: Instant, timeout: Duration, keepalive: Keepalive) -> Self {
        let mut silence = Self {
            timeout,
            keepalive,
            sides: [Heard::default(); 2],
            looked: now,
            due: now,
            kept_alive: None,
            answering: None,
        };
        silence.due += silence.between_looks();
        silence
    }

    /// When to look next.
    pub(super) const fn due(&self) -> Instant {
        self.due
    }

    /// Whether both sides are to be sent keepalive packets at present.
    pub(super) const fn answers(&self) -> bool {
        self.answering.is_some()
    }

    /// When to look next, or `None` if the silence has lasted too long. `packets` tells what the
    /// client's and the target's connection have received.
    pub(super) fn look(
        &mut self,
        now: Instant,
        last_byte: Instant,
        packets: impl FnOnce() -> [Option<Packets>; 2],
    ) -> Option<Instant> {
        match self.answering {
            Some(since) if now >= since + self.timeout => {
                self.answering = None;
                self.kept_alive = Some(now);
                self.listen(now, false, packets());
            }
            None if self.keepalive != Keepalive::DoesNotCount => {
                self.listen(now, last_byte < self.looked, packets());
            }
            _ => {}
        }
        self.looked = now;
        let end = self.kept_alive.map_or(last_byte, |at| at.max(last_byte)) + self.timeout;
        self.due = end.min(now + self.between_looks());
        (now < end).then_some(self.due)
    }

    fn listen(&mut self, now: Instant, quiet: bool, packets: [Option<Packets>; 2]) {
        for (side, packets) in self.sides.iter_mut().zip(packets) {
            if side.hear(packets, quiet) {
                self.kept_alive = Some(now);
            }
        }
        if self.keepalive == Keepalive::Answered
            && self.sides.iter().any(|side| side.in_a_row >= HEARD_TO_ANSWER)
        {
            self.answering = Some(now);
            self.sides = [Heard::default(); 2];
        }
    }

    fn between_looks(&self) -> Duration {
        match self.keepalive {
            Keepalive::Counts | Keepalive::Answered => self.timeout / LOOKS,
            Keepalive::DoesNotCount => self.timeout,
        }
    }
}

/// Without another packet for so long, a keepalive packet is sent where they are answered.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);

/// Has the kernel send keepalive packets from now on, or no longer.
pub(super) fn keep_alive(tcp: Option<&TcpStream>, send: bool) {
    let Some(tcp) = tcp.map(SockRef::from) else { return };
    let every = TcpKeepalive::new().with_time(KEEPALIVE_INTERVAL).with_interval(KEEPALIVE_INTERVAL);
    // A connection that has gone meanwhile needs none.
    drop(if send { tcp.set_tcp_keepalive(&every) } else { tcp.set_keepalive(false) });
}

/// What a connection has received; `None` if it cannot tell.
pub(super) fn packets(tcp: Option<&TcpStream>) -> Option<Packets> {
    let info = nix::sys::socket::getsockopt(tcp?, TcpInfo).ok()?;
    let word = |place: usize| info.get(place).copied();
    Some(Packets { received: word(tcp_info::SEGS_IN)?, unacked: word(tcp_info::UNACKED)? > 0 })
}

mod tcp_info {
    //! `TCP_INFO`, as far as packets received: Linux 4.2 and later.

    use nix::{getsockopt_impl, libc, sockopt_impl};

    /// Where `tcpi_unacked` is: segments sent, a FIN among them, that were not acknowledged.
    pub(super) const UNACKED: usize = 6;

    /// Where `tcpi_segs_in` is, which counts every segment that reached the socket.
    pub(super) const SEGS_IN: usize = 35;

    sockopt_impl!(
        /// Asks for the kernel's `struct tcp_info`, as words.
        TcpInfo,
        GetOnly,
        libc::IPPROTO_TCP,
        libc::TCP_INFO,
        [u32; SEGS_IN + 1]
    );
}

//! When a silent tunnel ends.
//!
//! Any byte, either way, breaks the silence. TCP keepalive packets break it too
//! where they count, on an NLB. No program is told of them, and of the times
//! that `TCP_INFO` gives none moves either: Linux discards a keepalive probe,
//! which repeats a sequence number, before it notes that a packet came. But it
//! counts the probe among the packets received. So the two connections are
//! asked a few times per timeout how many packets they have received: more of
//! them although no byte passed means a keepalive. (Answers to probes of zero
//! windows count as well, as they do on the wire for an NLB. For the same
//! reason the tunnel's own sockets must not send keepalives unless a peer does:
//! their answers keep the tunnel open.)

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::{net::TcpStream, time::Instant};

use self::tcp_info::TcpInfo;
use super::Keepalive;

/// Looks at the connections per timeout. A silence broken by a keepalive ends up to an eighth late, never early.
const LOOKS: u32 = 8;

/// How long a tunnel has been silent.
#[derive(Debug)]
pub(super) struct Silence {
    timeout: Duration,
    keepalive: Keepalive,
    /// Packets received, when last looked.
    packets: Option<u64>,
    looked: Instant,
    /// When a look has last shown a keepalive packet.
    kept_alive: Option<Instant>,
}

impl Silence {
    pub(super) const fn new(now: Instant, timeout: Duration, keepalive: Keepalive) -> Self {
        Self { timeout, keepalive, packets: None, looked: now, kept_alive: None }
    }

    /// When to look first.
    pub(super) fn first_look(&self) -> Instant {
        self.looked + self.between_looks()
    }

    /// When was looked last.
    pub(super) const fn looked(&self) -> Instant {
        self.looked
    }

    /// Whether a keepalive packet has ever come, as far as was looked.
    pub(super) const fn was_kept_alive(&self) -> bool {
        self.kept_alive.is_some()
    }

    /// When to look next, or `None` if the silence has lasted too long. `packets` tells how many
    /// packets were received in all.
    pub(super) fn look(
        &mut self,
        now: Instant,
        last_byte: Instant,
        packets: impl FnOnce() -> Option<u64>,
    ) -> Option<Instant> {
        if self.keepalive != Keepalive::DoesNotCount {
            let packets = packets();
            // Packets that came along with bytes only give the number to compare with.
            if last_byte < self.looked && self.packets.is_some() && packets != self.packets {
                self.kept_alive = Some(now);
            }
            self.packets = packets;
        }
        self.looked = now;
        let end = self.kept_alive.map_or(last_byte, |at| at.max(last_byte)) + self.timeout;
        (now < end).then(|| end.min(now + self.between_looks()))
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

/// Has the kernel send keepalive packets from now on.
pub(super) fn keep_alive(tcp: Option<&TcpStream>) {
    let every = TcpKeepalive::new().with_time(KEEPALIVE_INTERVAL).with_interval(KEEPALIVE_INTERVAL);
    if let Some(tcp) = tcp {
        // A connection that has gone meanwhile needs none.
        drop(SockRef::from(tcp).set_tcp_keepalive(&every));
    }
}

/// Packets that the two connections have received, wrapping round; `None` if neither can tell.
pub(super) fn packets_received(client: Option<&TcpStream>, target: Option<&TcpStream>) -> Option<u64> {
    let of = |tcp: Option<&TcpStream>| tcp.and_then(packets_of);
    match (of(client), of(target)) {
        (None, None) => None,
        (client, target) => Some(u64::from(client.unwrap_or(0)) + u64::from(target.unwrap_or(0))),
    }
}

fn packets_of(tcp: &TcpStream) -> Option<u32> {
    let info = nix::sys::socket::getsockopt(tcp, TcpInfo).ok()?;
    info.get(tcp_info::SEGS_IN).copied()
}

mod tcp_info {
    //! `TCP_INFO`, as far as packets received: Linux 4.2 and later.

    use nix::{getsockopt_impl, libc, sockopt_impl};

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

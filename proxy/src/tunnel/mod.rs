//! Bidirectional byte relay between a client and a target.
//!
//! Used once the two ends only exchange bytes: after a WebSocket upgrade, and
//! for layer 4 flows. One idle timer covers both directions: any byte, either
//! way, restarts it (ELB page "Edit attributes for your Application Load
//! Balancer", connection idle timeout), and on an NLB a TCP keepalive packet
//! does so too (page "Listeners for your Network Load Balancers"). A half-close
//! is passed on and the other direction goes on. An idle tunnel owns no buffer
//! and no pipe: bytes are read into a buffer of the worker thread and only what
//! cannot be written at once is kept; bulk between two plain TCP connections is
//! spliced.
//!
//! Knows no protocol, opens no socket, logs nothing.

mod connection;
mod direction;
mod ending;
mod frame;
mod idle;
mod pipe;
mod splice;
#[cfg(test)]
mod tests;
mod traffic;

use std::{future::Future, io, time::Duration};

use tokio::net::TcpStream;

pub use self::{
    connection::Connection,
    ending::{Forgotten, can_forget_silently, reset},
    traffic::Traffic,
};
use self::{
    direction::{Copying, Direction},
    frame::Relay,
    splice::Splicing,
};

/// Why a tunnel ended.
#[derive(Debug)]
pub enum CloseReason {
    /// Both sides have ended their stream; the side that did so first is named.
    Closed {
        /// Who sent the first end of stream.
        first: Side,
    },
    /// No byte in either direction for the idle timeout.
    IdleTimeout,
    /// A connection broke.
    Failed {
        /// On which connection the error arose.
        side: Side,
        /// What the system said.
        error: io::Error,
    },
    /// Ended from outside: deregistration delay over, or shutdown.
    Terminated,
}

impl CloseReason {
    /// The side whose RST ended the tunnel, if one did.
    #[must_use]
    pub fn reset_by(&self) -> Option<Side> {
        match self {
            // After a FIN of the peer the system reports its RST as a broken pipe.
            Self::Failed { side, error }
                if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) =>
            {
                Some(*side)
            }
            _ => None,
        }
    }

    /// A short name for logs and metric labels.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Closed { first: Side::Client } => "client_closed",
            Self::Closed { first: Side::Target } => "target_closed",
            Self::IdleTimeout => "idle_timeout",
            Self::Failed { side: Side::Client, .. } => "client_reset",
            Self::Failed { side: Side::Target, .. } => "target_reset",
            Self::Terminated => "terminated",
        }
    }
}

/// One end of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The end that connected to the load balancer.
    Client,
    /// The end the load balancer connected to.
    Target,
}

/// How long a tunnel may be silent, and what is counted.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// Silence in both directions after which the tunnel ends.
    pub idle_timeout: Duration,
    /// Whether TCP keepalive packets of the two sides break the silence.
    pub keepalive: Keepalive,
    /// Where the bytes that pass are counted; `None` where someone else counts them.
    pub traffic: Option<&'a Traffic>,
}

/// Whether a TCP keepalive packet of either side restarts the idle timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keepalive {
    /// As on a TCP listener of an NLB.
    Counts,
    /// As on a TLS listener of an NLB: it counts, and while a side sends such packets both sides are sent
    /// keepalive packets of our own, every 20 seconds without another packet. That timer is the kernel's and
    /// is not scaled. Answers to them do not count: a tunnel ends one to two idle timeouts after its sides
    /// have ceased to send keepalives.
    Answered,
    /// As on an ALB: only bytes count.
    DoesNotCount,
}

/// Bytes that were read from either side before the tunnel began.
#[derive(Debug, Default)]
pub struct EarlyBytes {
    /// Read from the client, still to be written to the target.
    pub from_client: Vec<u8>,
    /// Read from the target, still to be written to the client.
    pub from_target: Vec<u8>,
}

/// Relays bytes between `client` and `target` until both directions have
/// ended, no byte passed for the idle timeout, a connection broke, or
/// `terminated` completed.
///
/// The streams are not shut down on the last three; dropping them closes them.
///
/// # Cancel safety
///
/// Dropping the future loses at most the bytes that were read and not yet
/// written; the streams belong to the caller.
pub fn relay<C, T>(
    client: &mut C,
    target: &mut T,
    early: EarlyBytes,
    settings: Settings<'_>,
    terminated: impl Future<Output = ()>,
) -> impl Future<Output = CloseReason>
where
    C: Connection,
    T: Connection,
{
    let upward = Direction::new(early.from_client, Copying);
    let downward = Direction::new(early.from_target, Copying);
    frame::run(Relay::new(upward, downward, settings), client, target, terminated)
}

/// Like [`relay`], between two plain TCP connections: much at a time is moved inside the kernel.
///
/// # Cancel safety
///
/// As [`relay`].
pub fn relay_tcp(
    client: &mut TcpStream,
    target: &mut TcpStream,
    early: EarlyBytes,
    settings: Settings<'_>,
    terminated: impl Future<Output = ()>,
) -> impl Future<Output = CloseReason> {
    let upward = Direction::new(early.from_client, Splicing::default());
    let downward = Direction::new(early.from_target, Splicing::default());
    frame::run(Relay::new(upward, downward, settings), client, target, terminated)
}

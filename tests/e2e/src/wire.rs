//! What TCP segments pass on the loopback interface, told by raw sockets. Needs
//! `CAP_NET_RAW`; a test that lacks it says so and goes on.

use std::{
    io::{ErrorKind, Read as _},
    net::{IpAddr, SocketAddr},
};

use anyhow::{Context as _, Result};
use socket2::{Domain, Protocol, Socket, Type};

const FIN: u8 = 0x01;
const RST: u8 = 0x04;

/// Listens in on what passes between two loopback addresses.
#[derive(Debug)]
pub struct Wire {
    there: Socket,
    back: Socket,
}

/// A segment between the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// The sender's port.
    pub source: u16,
    /// The receiver's port.
    pub destination: u16,
    flags: u8,
    /// Bytes of payload.
    pub payload: usize,
}

impl Segment {
    /// Whether it is a RST.
    #[must_use]
    pub const fn is_reset(&self) -> bool {
        self.flags & RST != 0
    }

    /// Whether it is a FIN.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        self.flags & FIN != 0
    }

    /// Reads a packet with its IPv4 header.
    fn parse(packet: &[u8]) -> Option<Self> {
        let header = usize::from(packet.first()? & 0xf) * 4;
        let tcp = packet.get(header..)?;
        let port = |at: usize| Some(u16::from_be_bytes([*tcp.get(at)?, *tcp.get(at + 1)?]));
        let data = usize::from(tcp.get(12)? >> 4) * 4;
        let payload = tcp.len().checked_sub(data)?;
        Some(Self { source: port(0)?, destination: port(2)?, flags: *tcp.get(13)?, payload })
    }
}

impl Wire {
    /// Listens in on what passes between two loopback addresses; `None`, with a note, where that is not
    /// permitted.
    ///
    /// # Errors
    /// When the system refuses for another reason.
    #[expect(clippy::print_stderr, reason = "test runners show it on request")]
    pub fn between(one: impl Into<IpAddr>, other: impl Into<IpAddr>) -> Result<Option<Self>> {
        let (one, other) = (SocketAddr::new(one.into(), 0), SocketAddr::new(other.into(), 0));
        let raw = || Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::TCP));
        let (there, back) = match (raw(), raw()) {
            (Ok(there), Ok(back)) => (there, back),
            (Err(error), _) | (_, Err(error)) if error.kind() == ErrorKind::PermissionDenied => {
                eprintln!("SKIPPED what is on the wire: raw sockets need CAP_NET_RAW ({error})");
                return Ok(None);
            }
            (Err(error), _) | (_, Err(error)) => return Err(error.into()),
        };
        // Such a socket gets what comes from the address it is connected to, to that it is bound to.
        for (socket, from, to) in [(&there, one, other), (&back, other, one)] {
            socket.bind(&to.into()).context("bind a raw socket")?;
            socket.connect(&from.into()).context("connect a raw socket")?;
            socket.set_nonblocking(true)?;
        }
        Ok(Some(Self { there, back }))
    }

    /// The segments since the last time: those from the first address to the second, and those back.
    ///
    /// # Errors
    /// When the sockets fail.
    pub fn segments(&mut self) -> Result<(Vec<Segment>, Vec<Segment>)> {
        Ok((drain(&mut self.there)?, drain(&mut self.back)?))
    }
}

fn drain(socket: &mut Socket) -> Result<Vec<Segment>> {
    let (mut segments, mut packet) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        match socket.read(&mut packet) {
            Ok(length) => segments.extend(packet.get(..length).and_then(Segment::parse)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(segments),
            Err(error) => return Err(error.into()),
        }
    }
}

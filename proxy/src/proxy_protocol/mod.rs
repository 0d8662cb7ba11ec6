//! PROXY protocol, versions 1 and 2: the header with which a proxy tells the
//! next one whose connection it passes on.
//!
//! Specification: "The PROXY protocol, versions 1 & 2", `proxy-protocol.txt`. AWS's header
//! ([`v2`]): ELB page "Edit target group attributes for your Network Load
//! Balancer" (Proxy protocol).
//!
//! Reading ([`parse`]) takes any prefix of a connection's bytes and depends on
//! nothing else: what is decided for a prefix stays decided with every byte more,
//! and bytes that only more bytes can decide are [`Parsed::Incomplete`]. Writing
//! is in [`v2`]. Not here: who may send a header, whether one is required, and
//! how long to wait for it; the specification leaves these to configuration,
//! because whoever may send a header chooses its client address.

mod malformed;
mod tlv;
mod v1;
pub mod v2;

use std::net::SocketAddr;

pub use self::{
    malformed::{End, Malformed},
    tlv::{Tlv, Tlvs},
};

/// The longest header that is accepted, in bytes: 4096, TLVs included, as in nginx.
///
/// A version 1 line has at most 107 bytes and AWS's header has 100; what may need more than a few
/// hundred is a client certificate (TLV 0x20). A caller that has this many bytes never gets
/// [`Parsed::Incomplete`].
pub const MAX_LEN: usize = 4096;

/// What the first bytes of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// The beginning of something else.
    NotProxy,
    /// Perhaps the beginning of a header; more bytes will tell.
    Incomplete,
    /// A whole header.
    Header {
        /// What it says.
        header: Header<'a>,
        /// Its length in bytes, at most [`MAX_LEN`]: the proxied bytes begin there.
        len: usize,
    },
}

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// Whose connection it is.
    pub command: Command,
    /// The ends of the proxied connection. `None` where the real ends count: with [`Command::Local`],
    /// and if the proxied connection is not TCP over IPv4 or IPv6 (unknown, UNIX, datagrams).
    pub addresses: Option<Addresses>,
    /// Further information of version 2; empty in version 1.
    pub tlvs: Tlvs<'a>,
}

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// The sender's own, such as a health check.
    Local,
    /// Another's, on whose behalf the sender connects. Always so in version 1.
    Proxy,
}

/// The ends of a proxied connection, as its client sees them. IPv4-mapped IPv6 addresses are IPv4 here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The client.
    pub source: SocketAddr,
    /// What the client connected to.
    pub destination: SocketAddr,
}

impl Addresses {
    const fn new(source: SocketAddr, destination: SocketAddr) -> Self {
        Self { source: canonical(source), destination: canonical(destination) }
    }
}

/// Reads the header at the start of a connection, from as many of its bytes as there are.
///
/// # Errors
///
/// [`Malformed`] as soon as the bytes begin like a header but cannot become one; the connection is
/// to be closed.
pub fn parse(bytes: &[u8]) -> Result<Parsed<'_>, Malformed> {
    if let Some(line) = bytes.strip_prefix(v1::SIGNATURE) {
        return v1::read(line);
    }
    if bytes.starts_with(v2::SIGNATURE) {
        return v2::read(bytes);
    }
    let may_become = [v1::SIGNATURE, v2::SIGNATURE].iter().any(|signature| signature.starts_with(bytes));
    Ok(if may_become { Parsed::Incomplete } else { Parsed::NotProxy })
}

/// The same end without scope and flow label, in IPv4 if the address is an IPv4-mapped one.
const fn canonical(end: SocketAddr) -> SocketAddr {
    SocketAddr::new(end.ip().to_canonical(), end.port())
}

#[cfg(test)]
mod tests;

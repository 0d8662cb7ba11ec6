//! The PROXY protocol, versions 1 and 2, as a receiver reads it
//! (proxy-protocol.txt of `HAProxy`, sections 2.1 and 2.2).
//!
//! [`parse`] looks at the bytes from the start of a connection and does no I/O.
//! Only one header is read: what looks like a second one belongs to the bytes
//! that follow. Not here: TLVs, which are skipped unread, their checksum too.

mod v1;
mod v2;

use std::net::SocketAddr;

/// Longest header that is taken, in bytes. Version 1 ends at 107; version 2
/// could announce 65551, all of which a sender could make us hold. Load
/// balancers stay below 300.
pub const HEADER_LIMIT: usize = 4096;

/// What a balancer says about a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Which form of the protocol.
    pub version: Version,
    /// For whom the connection was made.
    pub command: Command,
    /// The ends of the client's connection. None for LOCAL, and where the
    /// sender does not know them or they are no TCP addresses (`UNKNOWN`,
    /// `UNSPEC`, datagrams, UNIX sockets).
    pub addresses: Option<Addresses>,
}

/// The form of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

impl Version {
    /// 1 or 2.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }
}

/// For whom a balancer connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// For itself, as in a health check: the TCP peer is the client.
    Local,
    /// For a client.
    Proxy,
}

impl Command {
    /// As the specification writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "LOCAL",
            Self::Proxy => "PROXY",
        }
    }
}

/// The two ends of the client's connection to the balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The client.
    pub source: SocketAddr,
    /// What it connected to.
    pub destination: SocketAddr,
}

/// What the bytes at the start of a connection are. More bytes after a
/// [`Header`](Self::Header) or [`NoHeader`](Self::NoHeader) do not change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Maybe the beginning of a header.
    Partial,
    /// Something else.
    NoHeader,
    /// A header of so many bytes.
    Header(usize, Header),
}

/// What is wrong with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Version 1 without CR LF in its first 107 bytes.
    #[error("no end of line within 107 bytes")]
    Unending,
    /// Version 1 with fields that are not as the specification writes them.
    #[error("the line is not of the form PROXY TCP4|TCP6|UNKNOWN …")]
    Line,
    /// Version 2 with a version nibble other than 2.
    #[error("version {0} in a version 2 header")]
    Version(u8),
    /// Version 2 with a command other than LOCAL and PROXY.
    #[error("unknown command {0}")]
    Command(u8),
    /// Version 2 with an address family or transport that is not specified.
    #[error("unknown address family and transport {0:#04x}")]
    Family(u8),
    /// Version 2 that is shorter than its addresses.
    #[error("{0} bytes are too short for the addresses")]
    TooShort(u16),
    /// Version 2 above [`HEADER_LIMIT`].
    #[error("{0} bytes are too long, a header may have {HEADER_LIMIT}")]
    TooLong(usize),
}

/// Looks at everything that has come on a connection so far.
///
/// # Errors
///
/// The bytes begin a header that no further bytes can make right.
pub fn parse(bytes: &[u8]) -> Result<Start, HeaderError> {
    match v2::parse(bytes)? {
        Start::NoHeader => v1::parse(bytes),
        found => Ok(found),
    }
}

/// Whether the bytes begin with `mark`, as far as they have come.
fn begins(bytes: &[u8], mark: &[u8]) -> bool {
    bytes.iter().zip(mark).all(|(a, b)| a == b)
}

#[cfg(test)]
mod tests;

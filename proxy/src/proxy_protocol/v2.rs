//! Version 2: the binary header (specification, section 2.2), written byte for
//! byte as a Network Load Balancer writes it.
//!
//! Such a header always has 100 bytes: the addresses, their CRC32C (over the
//! whole header), and NOOP padding. AWS publishes one of a connection
//! (aws/elastic-load-balancing-tools, `proprot`: IPv4 through a VPC endpoint,
//! whose id stands between checksum and padding), and one of a health check was
//! captured (kubernetes/kubernetes#57250): command LOCAL, family TCP over IPv4,
//! and yet no addresses. No header with IPv6 addresses is published: here its
//! padding is shorter by as much as its addresses are longer.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crc::{CRC_32_ISCSI, Crc};

use super::{Tlv, canonical};

pub(super) use self::read::read;

mod read;

/// Length in bytes of every header written here.
pub const LEN: usize = 100;

/// What a header begins with.
pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes up to and including the length of the rest.
const FIXED_LEN: usize = SIGNATURE.len() + 4;
const VERSION: u8 = 0x20;
const LOCAL: u8 = 0x0;
const PROXY: u8 = 0x1;
const TCP_IPV4: u8 = 0x11;
const TCP_IPV6: u8 = 0x21;
static CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
const CHECKSUM_LEN: usize = 4;

/// The header of a client's connection: TCP over IPv4 if both ends have IPv4 addresses, else over IPv6.
///
/// IPv4-mapped addresses are IPv4 ones here. If only one end is IPv4, which a dual-stack load
/// balancer with IPv4 targets can bring about, it is written as IPv4-mapped. Scope and flow label are not written.
#[must_use]
pub fn proxy(source: SocketAddr, destination: SocketAddr) -> [u8; LEN] {
    Draft::proxy(source, destination).finish()
}

/// The header of a connection of the load balancer itself: a health check.
#[must_use]
pub fn local() -> [u8; LEN] {
    Draft::new(LOCAL, TCP_IPV4).with_checksum().finish()
}

/// A header that is being written.
struct Draft {
    bytes: [u8; LEN],
    /// How much of it is written.
    len: usize,
    checksum_at: usize,
}

impl Draft {
    fn new(command: u8, family: u8) -> Self {
        let mut draft = Self { bytes: [0; LEN], len: 0, checksum_at: 0 };
        draft.push(SIGNATURE);
        draft.push(&[VERSION | command, family]);
        draft.push(&length(LEN - FIXED_LEN));
        draft
    }

    fn proxy(source: SocketAddr, destination: SocketAddr) -> Self {
        match (canonical(source), canonical(destination)) {
            (SocketAddr::V4(source), SocketAddr::V4(destination)) => Self::ipv4(source, destination),
            (source, destination) => Self::ipv6(mapped(source), mapped(destination)),
        }
        .with_checksum()
    }

    fn ipv4(source: SocketAddrV4, destination: SocketAddrV4) -> Self {
        let mut draft = Self::new(PROXY, TCP_IPV4);
        draft.push(&source.ip().octets());
        draft.push(&destination.ip().octets());
        draft.push_ports(source.port(), destination.port());
        draft
    }

    fn ipv6(source: SocketAddrV6, destination: SocketAddrV6) -> Self {
        let mut draft = Self::new(PROXY, TCP_IPV6);
        draft.push(&source.ip().octets());
        draft.push(&destination.ip().octets());
        draft.push_ports(source.port(), destination.port());
        draft
    }

    fn push_ports(&mut self, source: u16, destination: u16) {
        self.push(&source.to_be_bytes());
        self.push(&destination.to_be_bytes());
    }

    /// Leaves the place for the checksum, which comes first of all TLVs.
    fn with_checksum(mut self) -> Self {
        self.push_tlv_head(Tlv::CRC32C, CHECKSUM_LEN);
        self.checksum_at = self.len;
        self.push(&[0; CHECKSUM_LEN]);
        self
    }

    /// Pads and sums up.
    fn finish(mut self) -> [u8; LEN] {
        let padding = LEN.saturating_sub(self.len + Tlv::HEAD_LEN);
        self.push_tlv_head(Tlv::NOOP, padding);
        let checksum = CRC32C.checksum(&self.bytes);
        self.len = self.checksum_at;
        self.push(&checksum.to_be_bytes());
        self.bytes
    }

    fn push_tlv_head(&mut self, kind: u8, value_length: usize) {
        self.push(&[kind]);
        self.push(&length(value_length));
    }

    /// What is pushed fits: even IPv6 addresses and the checksum leave 41 bytes to the padding.
    fn push(&mut self, part: &[u8]) {
        for (byte, &value) in self.bytes.iter_mut().skip(self.len).zip(part) {
            *byte = value;
        }
        self.len += part.len();
    }
}

/// A length on the wire; none here exceeds [`LEN`].
fn length(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

const fn mapped(end: SocketAddr) -> SocketAddrV6 {
    let address: Ipv6Addr = match end {
        SocketAddr::V4(end) => end.ip().to_ipv6_mapped(),
        SocketAddr::V6(end) => *end.ip(),
    };
    SocketAddrV6::new(address, end.port(), 0, 0)
}

#[cfg(test)]
mod tests;

//! PROXY protocol headers, as clients of a test send them and as its targets
//! must get them, and a target that keeps every byte.
//!
//! Specification: "The PROXY protocol, versions 1 & 2", `proxy-protocol.txt`.

use std::net::{IpAddr, SocketAddr};

use anyhow::Result;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
};

use crate::{
    config::Group,
    ports::HeldPort,
    wait::{SOON, within},
};

/// Bytes of each header that a network load balancer writes.
pub const NETWORK_LEN: usize = 100;

/// What a header of version 2 begins with.
pub const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 1.
#[must_use]
pub fn v1(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    format!("PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port()).into_bytes()
}

/// A header of version 2 without TLVs.
#[must_use]
pub fn v2(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    v2_of(0x21, family(source), &block(source, destination))
}

/// A header of version 2 with any version and command, family and transport, and what follows.
#[must_use]
pub fn v2_of(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap_or(u16::MAX).to_be_bytes();
    [SIGNATURE, &[command, family], &length, block].concat()
}

/// The header of a client's connection as a network load balancer writes it.
#[must_use]
pub fn network(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    padded(0x21, family(source), &block(source, destination))
}

/// The header of a health check as a network load balancer writes it.
#[must_use]
pub fn network_health_check() -> Vec<u8> {
    padded(0x20, 0x11, &[])
}

/// A header with a checksum that is right, padded to the length that all have.
fn padded(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
    let mut header = [addresses, &[0x03, 0, 4, 0, 0, 0, 0]].concat();
    let padding = NETWORK_LEN - SIGNATURE.len() - 4 - header.len() - 3;
    header.extend([0x04, 0, u8::try_from(padding).unwrap_or(u8::MAX)]);
    header.resize(header.len() + padding, 0);
    let mut header = v2_of(command, family, &header);
    let checksum = crc32c(&header).to_be_bytes();
    let at = SIGNATURE.len() + 4 + addresses.len() + 3;
    header.splice(at..at + checksum.len(), checksum);
    header
}

const fn family(source: SocketAddr) -> u8 {
    if source.is_ipv4() { 0x11 } else { 0x21 }
}

fn block(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let mut block = Vec::new();
    for ip in [source.ip(), destination.ip()] {
        match ip {
            IpAddr::V4(ip) => block.extend(ip.octets()),
            IpAddr::V6(ip) => block.extend(ip.octets()),
        }
    }
    block.extend(source.port().to_be_bytes());
    block.extend(destination.port().to_be_bytes());
    block
}

/// CRC32C (RFC 9260, appendix A), bit by bit.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 * (crc & 1)))
    })
}

/// A target that keeps every byte of a flow. Health checks come to a port of their own.
#[derive(Debug)]
pub struct Catcher {
    flows: TcpListener,
    checks: TcpListener,
    ports: [HeldPort; 2],
}

impl Catcher {
    /// Starts it.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start() -> Result<Self> {
        let ports = [HeldPort::try_new()?, HeldPort::try_new()?];
        let [flows, checks] = &ports;
        Ok(Self { flows: flows.listen()?, checks: checks.listen()?, ports })
    }

    /// A group of protocol TCP with this target alone, which gets headers.
    #[must_use]
    pub fn group(&self, name: &str) -> Group {
        let [flows, checks] = &self.ports;
        Group::tcp(name, &[flows.addr()])
            .with_health("port", checks.port().to_string())
            .with_attribute("proxy_protocol_v2.enabled", true)
    }

    /// The next flow.
    ///
    /// # Errors
    /// When none comes soon.
    pub async fn flow(&self) -> Result<TcpStream> {
        Ok(within(SOON, "a flow at the target", self.flows.accept()).await??.0)
    }

    /// All that the next flow carries to its end, which the client makes.
    ///
    /// # Errors
    /// When it does not end soon.
    pub async fn whole_flow(&self) -> Result<Vec<u8>> {
        read_to_end(self.flow().await?).await
    }

    /// All that the next health check carries.
    ///
    /// # Errors
    /// When none comes soon.
    pub async fn health_check(&self) -> Result<Vec<u8>> {
        read_to_end(within(SOON, "a health check", self.checks.accept()).await??.0).await
    }
}

/// Reads exactly `length` bytes.
///
/// # Errors
/// When the connection ends first or they do not come soon.
pub async fn read_exactly(stream: &mut TcpStream, length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    within(SOON, "bytes", stream.read_exact(&mut bytes)).await??;
    Ok(bytes)
}

async fn read_to_end(mut stream: TcpStream) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    within(SOON, "end of the connection", stream.read_to_end(&mut bytes)).await??;
    Ok(bytes)
}

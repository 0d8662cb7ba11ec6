//! Reads a PROXY protocol header from a new connection.

use std::io;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::config::{ProxyProtocolConfig, ProxyProtocolMode};
use crate::proxy_protocol::{self, Header, HeaderError, Start};
use crate::transport::{Replay, Tcp};

/// Memory for the first read: more than any header without long TLVs.
const FIRST_READ: usize = 256;

/// Why a connection is closed before it began.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// A header is required, and this peer's would not be believed.
    #[error("the peer is not trusted with the PROXY protocol")]
    Untrusted,
    /// A header is required and there is none.
    #[error("no PROXY protocol header")]
    Missing,
    /// The header is malformed.
    #[error("malformed PROXY protocol header")]
    Malformed(#[from] HeaderError),
    /// The header did not come in time.
    #[error("the PROXY protocol header came too slowly")]
    Timeout,
    /// The peer left, or the connection broke, before there was a header.
    #[error("the connection ended within the PROXY protocol header")]
    Closed(#[source] io::Error),
}

impl Refusal {
    /// Label of the metric.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Untrusted => "untrusted",
            Self::Missing => "missing",
            Self::Malformed(_) => "malformed",
            Self::Timeout => "timeout",
            Self::Closed(_) => "closed",
        }
    }
}

/// Reads the header that the settings let `peer` send. What came after it is
/// read again from the returned stream.
///
/// # Cancel safety
///
/// The connection is lost.
pub(super) async fn read(
    tcp: TcpStream,
    peer: SocketAddr,
    config: &ProxyProtocolConfig,
    deadline: Instant,
) -> Result<(Tcp, Option<Header>), Refusal> {
    let is_trusted = config.is_trusted(peer.ip());
    match config.mode {
        ProxyProtocolMode::Required if !is_trusted => Err(Refusal::Untrusted),
        ProxyProtocolMode::Optional if !is_trusted => Ok((without_header(tcp), None)),
        ProxyProtocolMode::Off => Ok((without_header(tcp), None)),
        ProxyProtocolMode::Optional | ProxyProtocolMode::Required => {
            let (tcp, header) = timeout_at(deadline, start(tcp)).await.map_err(|_| Refusal::Timeout)??;
            if header.is_none() && config.mode == ProxyProtocolMode::Required {
                return Err(Refusal::Missing);
            }
            Ok((tcp, header))
        }
    }
}

fn without_header(tcp: TcpStream) -> Tcp {
    Replay::new(tcp, Bytes::new())
}

/// Reads until it is clear whether there is a header.
async fn start(mut tcp: TcpStream) -> Result<(Tcp, Option<Header>), Refusal> {
    let mut bytes = BytesMut::with_capacity(FIRST_READ);
    loop {
        if tcp.read_buf(&mut bytes).await.map_err(Refusal::Closed)? == 0 {
            return Err(Refusal::Closed(io::ErrorKind::UnexpectedEof.into()));
        }
        let header = match proxy_protocol::parse(&bytes)? {
            Start::Partial => continue,
            Start::NoHeader => None,
            Start::Header(length, header) => {
                drop(bytes.split_to(length));
                Some(header)
            }
        };
        return Ok((Replay::new(tcp, bytes.freeze()), header));
    }
}

//! PROXY protocol headers that clients' connections begin with
//! (`albeit.proxy_protocol`), as a network load balancer in front sends them.
//!
//! Whoever may send a header chooses the client's address that rules, logs and
//! targets see: only peers in `albeit.proxy_protocol.trusted_cidrs` may. An ELB
//! of AWS reads no such headers.

use std::{net::SocketAddr, time::Duration};

use ipnet::IpNet;
use tokio::{io::AsyncReadExt, net::TcpStream};

use super::front::{Front, Plane};
use crate::{
    metrics::ProxyProtocolMetrics,
    model::listener::{ProxyProtocol, ProxyProtocolMode},
    proxy_protocol::{Addresses, MAX_LEN, Malformed, Parsed, parse},
    time_scale::TimeScale,
};

/// How long a client may take for its header, before time scaling.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that are read at a time: more than AWS's header has.
const READ_SIZE: usize = 512;

/// How a listener receives PROXY protocol headers.
#[derive(Debug)]
pub struct ProxyProtocolIn {
    is_required: bool,
    trusted: Vec<IpNet>,
    timeout: Duration,
    metrics: ProxyProtocolMetrics,
}

/// What a connection began with.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Received {
    /// The ends of the connection that the sender stands for. `None` if it stands for none.
    pub(super) addresses: Option<Addresses>,
    /// What was read besides the header.
    pub(super) ahead: Vec<u8>,
}

/// Why a connection is closed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// Its peer is not trusted.
    #[error("the peer is not in albeit.proxy_protocol.trusted_cidrs")]
    Untrusted,
    /// It began with something else.
    #[error("no PROXY protocol header")]
    Missing,
    /// It began with something that looks like a header.
    #[error("malformed PROXY protocol header")]
    Malformed(#[from] Malformed),
    /// It did not begin in time.
    #[error("PROXY protocol header not finished in time")]
    TimedOut,
    /// It ended, or broke.
    #[error("closed before the end of the PROXY protocol header")]
    Closed,
    /// It ended, or broke, without a byte: whoever only looks whether somebody listens does so.
    #[error("closed without a byte")]
    Silent,
}

impl ProxyProtocolIn {
    /// As the listener's attributes say; `None` if no header is looked for.
    #[must_use]
    pub fn new(
        settings: &ProxyProtocol,
        scale: TimeScale,
        metrics: impl FnOnce() -> ProxyProtocolMetrics,
    ) -> Option<Self> {
        Some(Self {
            is_required: match settings.mode {
                ProxyProtocolMode::Off => return None,
                ProxyProtocolMode::Optional => false,
                ProxyProtocolMode::Required => true,
            },
            trusted: settings.trusted.clone(),
            timeout: scale.apply(HEADER_TIMEOUT),
            metrics: metrics(),
        })
    }

    /// Reads the header of a connection of `peer`, if there is one.
    ///
    /// A client that may leave it out and says nothing is taken, when the time is over, for one whose target
    /// speaks first.
    pub(super) async fn receive(&self, tcp: &mut TcpStream, peer: SocketAddr) -> Result<Received, Refused> {
        let ip = peer.ip().to_canonical();
        if !self.trusted.iter().any(|trusted| trusted.contains(&ip)) {
            return if self.is_required { Err(Refused::Untrusted) } else { Ok(Received::default()) };
        }
        let mut bytes = Vec::new();
        let reading = self.read(tcp, &mut bytes);
        match tokio::time::timeout(self.timeout, reading).await {
            Ok(received) => received,
            Err(_) if bytes.is_empty() && !self.is_required => Ok(Received::default()),
            Err(_) => Err(Refused::TimedOut),
        }
    }

    async fn read(&self, tcp: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<Received, Refused> {
        loop {
            match parse(bytes)? {
                Parsed::Header { header, len } => {
                    let addresses = header.addresses;
                    return Ok(Received { addresses, ahead: bytes.split_off(len) });
                }
                Parsed::NotProxy if self.is_required => return Err(Refused::Missing),
                Parsed::NotProxy => return Ok(Received { addresses: None, ahead: std::mem::take(bytes) }),
                Parsed::Incomplete => {}
            }
            // A whole header is never longer, so that this is only a little more than one.
            bytes.reserve_exact(READ_SIZE.min(MAX_LEN.saturating_sub(bytes.len())));
            match tcp.read_buf(bytes).await {
                Ok(0) if bytes.is_empty() && !self.is_required => return Ok(Received::default()),
                Ok(0) | Err(_) if bytes.is_empty() => return Err(Refused::Silent),
                Ok(0) | Err(_) => return Err(Refused::Closed),
                Ok(_) => {}
            }
        }
    }

    fn count(&self, refused: &Refused) {
        match refused {
            Refused::Untrusted => self.metrics.untrusted.inc(),
            Refused::Missing | Refused::Closed => self.metrics.missing.inc(),
            Refused::Malformed(_) => self.metrics.malformed.inc(),
            Refused::TimedOut => self.metrics.timeout.inc(),
            Refused::Silent => {}
        }
    }
}

/// Counts and logs a connection of `peer`, accepted on `local`, that is closed for want of a good header.
///
/// One that closed by itself and never said anything is not counted: nothing of it was refused.
pub(super) fn refuse(front: &Front, refused: &Refused, (peer, local): (SocketAddr, Option<SocketAddr>)) {
    let local = local.map(tracing::field::display);
    if matches!(refused, Refused::Silent) {
        tracing::debug!(%peer, local, "a connection closed without a byte");
        return;
    }
    if let Some(proxy_protocol) = &front.proxy_protocol {
        proxy_protocol.count(refused);
    }
    if let Plane::Network(listener) = &front.plane {
        listener.load_balancer.metrics.reject_flow(listener.protocol);
    }
    let error: &dyn std::error::Error = refused;
    tracing::info!(%peer, local, error, "connection closed");
}

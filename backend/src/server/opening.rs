//! From an accepted socket to a connection that speaks HTTP: a PROXY protocol
//! header, then TLS, each where it is set.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::auth::{Hop, Proto};
use crate::config::ProxyProtocolMode;
use crate::endpoint::Services;
use crate::proxy_protocol::Header;
use crate::tls::Tls;
use crate::transport::{Replay, Transport};

use super::proxy_protocol::{self, Refusal};
use super::tls::{self, Agreed, HandshakeError};

/// What became known of a connection before its first request.
#[derive(Debug, Default)]
pub(super) struct Opening {
    /// The PROXY protocol header.
    pub(super) header: Option<Header>,
    /// TLS that ends here.
    pub(super) tls: Option<Agreed>,
}

impl Opening {
    /// Who connected to what: the ends that a header names stand in for those
    /// of the TCP connection.
    pub(super) fn hop(&self, peer: SocketAddr, local: SocketAddr) -> Hop {
        let proto = if self.tls.is_some() { Proto::Https } else { Proto::Http };
        match self.header.and_then(|header| header.addresses) {
            Some(ends) => Hop { peer: ends.source, local: ends.destination, proto },
            None => Hop { peer, local, proto },
        }
    }
}

/// Opens a connection within the connection timeout. None: it is closed, and
/// was counted and logged.
///
/// # Cancel safety
///
/// The connection is lost.
pub(super) async fn open(
    tcp: TcpStream,
    peer: SocketAddr,
    services: &Services,
    tls: Option<Arc<Tls>>,
) -> Option<(Transport, Opening)> {
    let server = &services.config.server;
    if tls.is_none() && server.proxy_protocol.mode == ProxyProtocolMode::Off {
        return Some((Transport::Plain(Replay::new(tcp, Bytes::new())), Opening::default()));
    }
    // Boxed, since its state is far larger than that of the connection which it
    // leaves behind.
    Box::pin(open_with(tcp, peer, services, tls)).await
}

async fn open_with(
    tcp: TcpStream,
    peer: SocketAddr,
    services: &Services,
    tls: Option<Arc<Tls>>,
) -> Option<(Transport, Opening)> {
    let server = &services.config.server;
    let deadline = Instant::now() + server.tomcat.connection_timeout;
    let (tcp, header) = match proxy_protocol::read(tcp, peer, &server.proxy_protocol, deadline).await {
        Ok(read) => read,
        Err(refusal) => {
            log_refusal(peer, &refusal, services);
            return None;
        }
    };
    if let Some(header) = header {
        let version = if header.version.number() == 1 { "1" } else { "2" };
        services.metrics.proxy_protocol.headers.with_label_values(&[version]).inc();
    }
    let mut opening = Opening { header, tls: None };
    let Some(tls) = tls else {
        return Some((Transport::Plain(tcp), opening));
    };
    match tls::accept(tcp, tls.current(), deadline).await {
        Ok((transport, agreed)) => {
            services.metrics.tls.handshakes.with_label_values(&[agreed.protocol()]).inc();
            opening.tls = Some(agreed);
            Some((transport, opening))
        }
        Err(error) => {
            let remote = opening.hop(peer, peer).peer;
            log_failed_handshake(remote, &error, services);
            None
        }
    }
}

fn log_refusal(remote: SocketAddr, refusal: &Refusal, services: &Services) {
    let reason = refusal.reason();
    services.metrics.proxy_protocol.errors.with_label_values(&[reason]).inc();
    let error: &dyn std::error::Error = refusal;
    match refusal {
        // A health check that only connects does this too.
        Refusal::Closed(_) => tracing::debug!(%remote, reason, error, "connection closed"),
        Refusal::Untrusted | Refusal::Missing | Refusal::Malformed(_) | Refusal::Timeout => {
            tracing::info!(%remote, reason, error, "connection closed");
        }
    }
}

fn log_failed_handshake(remote: SocketAddr, failure: &HandshakeError, services: &Services) {
    let reason = failure.reason();
    services.metrics.tls.handshake_errors.with_label_values(&[reason]).inc();
    let error: &dyn std::error::Error = failure;
    if reason == "closed" {
        tracing::debug!(%remote, reason, error, "TLS handshake failed");
    } else {
        tracing::info!(%remote, reason, error, "TLS handshake failed");
    }
}

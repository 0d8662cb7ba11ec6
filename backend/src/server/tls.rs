//! The TLS handshake of a new connection.

use std::io;
use std::sync::Arc;

use rustls::{CipherSuite, InvalidMessage, ProtocolVersion, ServerConfig};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;

use crate::app::whoami;
use crate::tls::ALPN;
use crate::transport::{Tcp, Transport};

/// What client and server agreed on.
#[derive(Debug)]
pub(super) struct Agreed {
    version: Option<ProtocolVersion>,
    cipher: Option<CipherSuite>,
    server_name: Option<Box<str>>,
    /// Whether the client asked for [`ALPN`], rather than for nothing.
    has_alpn: bool,
}

impl Agreed {
    /// OpenSSL's and Java's name of the version.
    pub(super) fn protocol(&self) -> &'static str {
        match self.version {
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        }
    }

    /// For `/whoami`.
    pub(super) fn report(&self) -> whoami::Tls<'_> {
        let cipher = self.cipher.as_ref().and_then(CipherSuite::as_str).unwrap_or_default();
        // The library's names of the TLS 1.3 suites are not IANA's.
        let cipher = cipher.replacen("TLS13_", "TLS_", 1);
        let alpn = self.has_alpn.then_some(ALPN);
        whoami::Tls { protocol: self.protocol(), cipher, server_name: self.server_name.as_deref(), alpn }
    }
}

/// Why there is no TLS connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    /// The client did not finish in time.
    #[error("the TLS handshake took too long")]
    Timeout,
    /// The handshake failed or the connection broke.
    #[error("TLS handshake")]
    Failed(#[source] io::Error),
}

impl HandshakeError {
    /// Label of the metric.
    pub(super) fn reason(&self) -> &'static str {
        let Self::Failed(error) = self else { return "timeout" };
        match error.get_ref().and_then(|error| error.downcast_ref()) {
            None => "closed",
            Some(rustls::Error::AlertReceived(_)) => "alert",
            Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => "not_tls",
            Some(_) => "protocol",
        }
    }
}

/// Accepts TLS on a connection.
///
/// # Cancel safety
///
/// The connection is lost.
pub(super) async fn accept(
    tcp: Tcp,
    config: Arc<ServerConfig>,
    deadline: Instant,
) -> Result<(Transport, Agreed), HandshakeError> {
    let tls = timeout_at(deadline, TlsAcceptor::from(config).accept(tcp))
        .await
        .map_err(|_| HandshakeError::Timeout)?
        .map_err(HandshakeError::Failed)?;
    let (_, session) = tls.get_ref();
    let agreed = Agreed {
        version: session.protocol_version(),
        cipher: session.negotiated_cipher_suite().map(|suite| suite.suite()),
        server_name: session.server_name().map(Box::from),
        has_alpn: session.alpn_protocol().is_some(),
    };
    Ok((Transport::Tls(Box::new(tls)), agreed))
}

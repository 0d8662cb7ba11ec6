//! The TLS side of a listener: settings from policy and certificates, and the handshake.

use std::{io, sync::Arc, time::Duration};

use rustls::{HandshakeKind, ServerConfig, server::ProducesTickets};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    certificates::{CertificateStore, LoadedCertificate},
    policy,
};
use crate::model::SecurityPolicy;

/// How long a client may take for its handshake, before time scaling.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The TLS side of one listener. Replaced as a whole on reload.
pub struct TlsListener {
    acceptor: TlsAcceptor,
    certificates: Arc<CertificateStore>,
}

impl std::fmt::Debug for TlsListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsListener").field("certificates", &self.certificates).finish_non_exhaustive()
    }
}

/// What was agreed with a client, for headers and logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsInfo {
    /// `TLSv1.2` or `TLSv1.3`.
    pub protocol: &'static str,
    /// OpenSSL or TLS 1.3 name of the cipher suite.
    pub cipher: &'static str,
    /// The name the client asked for.
    pub server_name: Option<Box<str>>,
    /// ARN of the certificate shown; `None` if none was, because a session was resumed.
    pub chosen_certificate: Option<Box<str>>,
    /// Whether ALPN chose HTTP/2.
    pub http2: bool,
}

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The client took longer than [`HANDSHAKE_TIMEOUT`].
    #[error("TLS handshake not finished in time")]
    TimedOut,
    /// The client spoke no TLS, or nothing that the policy allows.
    #[error("TLS handshake failed")]
    Failed(#[source] io::Error),
}

impl TlsListener {
    /// Settings for a listener with `policy`, `default` certificate and `others` by SNI.
    ///
    /// `tickets` makes session tickets that outlive reloads; `http2` offers `h2` by ALPN.
    ///
    /// # Errors
    ///
    /// When the cryptography library refuses the policy's combination of versions and suites.
    pub fn try_new(
        policy: &SecurityPolicy,
        default: Arc<LoadedCertificate>,
        others: &[Arc<LoadedCertificate>],
        tickets: &Arc<dyn ProducesTickets>,
        http2: Http2,
    ) -> Result<Self, rustls::Error> {
        let certificates = Arc::new(CertificateStore::new(default, others));
        let mut config = ServerConfig::builder_with_provider(Arc::new(policy::crypto_provider(policy)))
            .with_protocol_versions(policy::protocol_versions(policy))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificates) as _);
        config.ignore_client_order = true;
        config.ticketer = Arc::clone(tickets);
        config.alpn_protocols = match http2 {
            Http2::Offered => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Http2::Off => vec![b"http/1.1".to_vec()],
        };
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificates })
    }

    /// Performs the handshake within `limit`.
    ///
    /// # Errors
    ///
    /// When the client is too slow or agrees to nothing.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the connection is lost with the future.
    pub async fn accept(
        &self,
        tcp: TcpStream,
        limit: Duration,
    ) -> Result<(Box<TlsStream<TcpStream>>, TlsInfo), HandshakeError> {
        let handshake = tokio::time::timeout(limit, self.acceptor.accept(tcp));
        let stream = match handshake.await {
            Err(_) => return Err(HandshakeError::TimedOut),
            Ok(Err(error)) => return Err(HandshakeError::Failed(error)),
            Ok(Ok(stream)) => stream,
        };
        let info = self.describe(stream.get_ref().1);
        Ok((Box::new(stream), info))
    }

    fn describe(&self, connection: &rustls::ServerConnection) -> TlsInfo {
        let server_name = connection.server_name();
        let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        let shown = || Box::from(self.certificates.choose(server_name).arn.as_str());
        TlsInfo {
            protocol: connection.protocol_version().map_or("-", policy::protocol_name),
            cipher: connection
                .negotiated_cipher_suite()
                .map_or("-", |suite| policy::openssl_name(suite.suite())),
            server_name: server_name.map(Box::from),
            chosen_certificate: (!resumed).then(shown),
            http2: connection.alpn_protocol() == Some(b"h2"),
        }
    }
}

/// Whether HTTP/2 is offered by ALPN (`routing.http2.enabled`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http2 {
    /// `h2`, then `http/1.1`.
    Offered,
    /// `http/1.1` only.
    Off,
}

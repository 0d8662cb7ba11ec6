//! The TLS side of a listener: settings from policy and certificates, and the handshake.

use std::{io, sync::Arc, time::Duration};

use rustls::{
    HandshakeKind, InvalidMessage, ServerConfig,
    server::{NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    certificates::{CertificateStore, LoadedCertificate},
    client_certificate::ClientCertificate,
    client_verifier::{ClientAuthentication, ClientVerifier},
    negotiation::{self, Notes},
    policy,
    verify_status::VerifyStatus,
};
use crate::model::{SecurityPolicy, listener::AlpnPolicy};

/// How long a client may take for its handshake, before time scaling.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The TLS side of one listener. Replaced as a whole on reload.
pub struct TlsListener {
    acceptor: TlsAcceptor,
    pub(super) config: Arc<ServerConfig>,
    /// The same for clients that offer nothing the ALPN policy has; of TLS listeners with such a policy only.
    pub(super) without_alpn: Option<Arc<ServerConfig>>,
    certificates: Arc<CertificateStore>,
}

/// What makes the TLS side of a listener.
#[derive(Debug)]
pub struct TlsSettings<'a> {
    /// `ssl_policy`.
    pub policy: &'a SecurityPolicy,
    /// The certificate for clients without a matching SNI.
    pub default: Arc<LoadedCertificate>,
    /// The certificates that are chosen by SNI only.
    pub others: Vec<Arc<LoadedCertificate>>,
    /// `mutual_authentication`.
    pub client_authentication: ClientAuthentication,
    /// Makes session tickets that outlive reloads.
    pub tickets: &'a Arc<dyn ProducesTickets>,
    /// What is agreed on by ALPN.
    pub alpn: Alpn,
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
    /// Name of the key exchange group, such as `X25519MLKEM768`.
    pub key_exchange: &'static str,
    /// The name the client asked for.
    pub server_name: Option<Box<str>>,
    /// ARN of the certificate shown; `None` if none was, because a session was resumed.
    pub chosen_certificate: Option<Box<str>>,
    /// The protocol that was agreed on by ALPN.
    pub alpn: Option<&'static str>,
    /// The client's certificate, if the listener asked for one and the client had one.
    pub client_certificate: Option<Arc<ClientCertificate>>,
}

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The client took longer than [`HANDSHAKE_TIMEOUT`].
    #[error("TLS handshake not finished in time")]
    TimedOut,
    /// The client spoke no TLS, or nothing that the policy allows.
    #[error("TLS handshake failed")]
    Failed {
        /// What the TLS library said.
        source: io::Error,
        /// Why, in the words of the connection log.
        status: VerifyStatus,
        /// The client's certificate, if one came that could be read.
        client_certificate: Option<Arc<ClientCertificate>>,
        /// ARN of the certificate chosen for the client, if it got that far.
        chosen_certificate: Option<Box<str>>,
    },
}

impl HandshakeError {
    /// `tls_verify_status` of the connection log.
    #[must_use]
    pub const fn verify_status(&self) -> VerifyStatus {
        match self {
            Self::TimedOut => VerifyStatus::UnmappedConnectionError,
            Self::Failed { status, .. } => *status,
        }
    }

    /// The client's certificate, if one came that could be read.
    #[must_use]
    pub const fn client_certificate(&self) -> Option<&Arc<ClientCertificate>> {
        match self {
            Self::TimedOut => None,
            Self::Failed { client_certificate, .. } => client_certificate.as_ref(),
        }
    }

    /// The alert that the client sent (RFC 8446, 6), if it sent one.
    #[must_use]
    pub fn alert(&self) -> Option<u8> {
        match self {
            Self::Failed { source, .. } => match rustls_error(source)? {
                rustls::Error::AlertReceived(alert) => Some(u8::from(*alert)),
                _ => None,
            },
            Self::TimedOut => None,
        }
    }

    /// ARN of the certificate chosen for the client, if it got that far.
    #[must_use]
    pub fn chosen_certificate(&self) -> Option<&str> {
        match self {
            Self::Failed { chosen_certificate, .. } => chosen_certificate.as_deref(),
            Self::TimedOut => None,
        }
    }

    fn failed(source: io::Error, notes: &Notes) -> Self {
        let status = notes.refused.take().unwrap_or_else(|| status_of(&source));
        let chosen = notes.certificate.take();
        Self::Failed {
            source,
            status,
            client_certificate: notes.client_certificate.take(),
            chosen_certificate: chosen.map(|certificate| Box::from(certificate.arn.as_str())),
        }
    }
}

/// What the TLS library said.
fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// What a failure means that came before the client's certificate was looked at.
fn status_of(error: &io::Error) -> VerifyStatus {
    match rustls_error(error) {
        Some(rustls::Error::InvalidMessage(
            InvalidMessage::CertificatePayloadTooLarge | InvalidMessage::HandshakePayloadTooLarge,
        )) => VerifyStatus::ClientCertMaxSizeExceeded,
        _ => VerifyStatus::UnmappedConnectionError,
    }
}

impl TlsListener {
    /// The TLS side of a listener.
    ///
    /// Sessions are resumed by tickets and, in TLS 1.2, by session ids, but never with mutual TLS. Those of
    /// TLS listeners only by tickets, and not at all if there are several certificates. 0-RTT data are not
    /// taken.
    ///
    /// # Errors
    ///
    /// When the cryptography library refuses the policy's combination of versions and suites.
    pub fn try_new(settings: TlsSettings<'_>) -> Result<Self, rustls::Error> {
        let TlsSettings { policy, default, others, client_authentication, tickets, alpn } = settings;
        let others: Vec<_> = others.iter().map(|certificate| certificate.under(policy)).collect();
        let certificates = Arc::new(CertificateStore::new(default.under(policy), &others));
        let client_verifier = ClientVerifier::new(client_authentication, policy);
        let is_mutual = client_verifier.is_some();
        let client_verifier = match client_verifier {
            Some(verifier) => Arc::new(verifier) as _,
            None => WebPkiClientVerifier::no_client_auth(),
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(policy::crypto_provider(policy)))
            .with_protocol_versions(policy::protocol_versions(policy))?
            .with_client_cert_verifier(client_verifier)
            .with_cert_resolver(Arc::clone(&certificates) as _);
        config.ignore_client_order = true;
        let is_flow = matches!(alpn, Alpn::Policy(_));
        if is_mutual || (is_flow && !others.is_empty()) {
            // The ticketer of the builder makes none and takes none.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        } else {
            config.ticketer = Arc::clone(tickets);
            if is_flow {
                config.session_storage = Arc::new(NoServerSessionStorage {});
            }
        }
        let is_policy = matches!(alpn, Alpn::Policy(policy) if policy != AlpnPolicy::None);
        let without_alpn = is_policy.then(|| Arc::new(config.clone()));
        config.alpn_protocols =
            alpn.protocols().iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let config = Arc::new(config);
        Ok(Self { acceptor: TlsAcceptor::from(Arc::clone(&config)), config, without_alpn, certificates })
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
    pub async fn accept<C: AsyncRead + AsyncWrite + Unpin>(
        &self,
        client: C,
        limit: Duration,
    ) -> Result<(Box<TlsStream<C>>, TlsInfo), HandshakeError> {
        within(limit, self.acceptor.accept(client)).await
    }
}

/// The outcome of a handshake that may take `limit`, in the words of logs and headers.
pub(super) async fn within<C>(
    limit: Duration,
    handshake: impl Future<Output = io::Result<TlsStream<C>>>,
) -> Result<(Box<TlsStream<C>>, TlsInfo), HandshakeError> {
    match tokio::time::timeout(limit, negotiation::noting(handshake)).await {
        Err(_) => Err(HandshakeError::TimedOut),
        Ok((Err(error), notes)) => Err(HandshakeError::failed(error, &notes)),
        Ok((Ok(stream), notes)) => {
            let info = describe(stream.get_ref().1, &notes);
            Ok((Box::new(stream), info))
        }
    }
}

fn describe(connection: &rustls::ServerConnection, notes: &Notes) -> TlsInfo {
    let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
    let shown = notes.certificate.take().filter(|_| !resumed);
    TlsInfo {
        protocol: connection.protocol_version().map_or("-", policy::protocol_name),
        cipher: connection.negotiated_cipher_suite().map_or("-", |suite| policy::openssl_name(suite.suite())),
        key_exchange: connection
            .negotiated_key_exchange_group()
            .map_or("-", |group| policy::key_exchange_name(group.name())),
        server_name: connection.server_name().map(Box::from),
        chosen_certificate: shown.map(|certificate| Box::from(certificate.arn.as_str())),
        alpn: connection.alpn_protocol().and_then(known_protocol),
        client_certificate: notes.client_certificate.take(),
    }
}

impl TlsInfo {
    /// Whether ALPN chose HTTP/2.
    #[must_use]
    pub fn is_http2(&self) -> bool {
        self.alpn == Some("h2")
    }
}

/// What is agreed on with clients by ALPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// HTTPS with `routing.http2.enabled`: `h2`, then `http/1.1`.
    Http2,
    /// HTTPS without it: `http/1.1` only.
    Http1,
    /// What the policy of a TLS listener says. A client that offers nothing of it goes without.
    Policy(AlpnPolicy),
}

impl Alpn {
    const fn protocols(self) -> &'static [&'static str] {
        match self {
            Self::Http2 => &["h2", "http/1.1"],
            Self::Http1 => &["http/1.1"],
            Self::Policy(policy) => policy.protocols(),
        }
    }
}

/// Every protocol that is agreed on by ALPN.
pub(super) const PROTOCOLS: [&str; 3] = ["h2", "http/1.1", "http/1.0"];

/// The name of a protocol that we offer.
fn known_protocol(protocol: &[u8]) -> Option<&'static str> {
    PROTOCOLS.into_iter().find(|known| known.as_bytes() == protocol)
}

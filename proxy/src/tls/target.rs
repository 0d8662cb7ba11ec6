//! The TLS side of connections to targets.
//!
//! ELB pages: "Target groups for your Application Load Balancers" (certificates
//! of targets are not validated), "Security policies for your Application Load
//! Balancer" (backend connections). No server name is sent: ELB documents none,
//! and a target is an address. Sessions are resumed.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{accept::PROTOCOLS, policy};
use crate::model::{SecurityPolicy, target_group::ProtocolVersion};

/// How long a handshake with a target may take, before time scaling.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes TLS connections to targets.
#[derive(Clone)]
pub struct TargetTls {
    connector: TlsConnector,
    /// The same with a protocol that is offered by ALPN; of groups with protocol TLS only.
    offering: Vec<(&'static str, TlsConnector)>,
}

impl std::fmt::Debug for TargetTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TargetTls").finish_non_exhaustive()
    }
}

/// Why a handshake with a target came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The target took too long.
    #[error("TLS handshake with the target not finished in time")]
    TimedOut,
    /// The target spoke no TLS, or nothing that the policy allows.
    #[error("TLS handshake with the target failed")]
    Failed(#[source] io::Error),
}

impl TargetTls {
    /// Settings for targets under `policy` that speak `version`.
    ///
    /// Targets that speak HTTP/2 are offered `h2` by ALPN, and are spoken HTTP/2 with even if they do
    /// not answer it; the others are offered nothing.
    ///
    /// # Errors
    ///
    /// When the cryptography library refuses the policy's combination of versions and suites.
    pub fn try_new(policy: &SecurityPolicy, version: ProtocolVersion) -> Result<Self, rustls::Error> {
        let mut config = Self::config(policy)?;
        if version != ProtocolVersion::Http1 {
            config.alpn_protocols = vec![b"h2".to_vec()];
        }
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), offering: Vec::new() })
    }

    fn config(policy: &SecurityPolicy) -> Result<ClientConfig, rustls::Error> {
        let provider = Arc::new(policy::crypto_provider(policy));
        let verifier = Arc::new(NotValidated::new(Arc::clone(&provider)));
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(policy::protocol_versions(policy))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.enable_sni = false;
        Ok(config)
    }

    /// Settings for targets of groups with protocol TLS, which are offered what was agreed on with the client.
    ///
    /// # Errors
    ///
    /// As [`Self::try_new`].
    pub fn for_flows(policy: &SecurityPolicy) -> Result<Self, rustls::Error> {
        let plain = Self::config(policy)?;
        let offering = PROTOCOLS.map(|protocol| {
            let mut config = plain.clone();
            config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
            (protocol, TlsConnector::from(Arc::new(config)))
        });
        Ok(Self { connector: TlsConnector::from(Arc::new(plain)), offering: offering.into() })
    }

    /// As [`Self::connect`], offering `alpn`.
    ///
    /// # Errors
    ///
    /// As [`Self::connect`]; a target that takes no part in ALPN is no error.
    ///
    /// # Cancel safety
    ///
    /// As [`Self::connect`].
    pub async fn connect_offering(
        &self,
        alpn: Option<&str>,
        ip: IpAddr,
        tcp: TcpStream,
        limit: Duration,
    ) -> Result<Box<TlsStream<TcpStream>>, HandshakeError> {
        let offering = self.offering.iter().find(|(protocol, _)| alpn == Some(protocol));
        let connector = offering.map_or(&self.connector, |(_, connector)| connector);
        handshake(connector, ip, tcp, limit).await
    }

    /// Performs the handshake with the target at `ip` within `limit`.
    ///
    /// # Errors
    ///
    /// When the target is too slow or agrees to nothing.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the connection is lost with the future.
    pub async fn connect(
        &self,
        ip: IpAddr,
        tcp: TcpStream,
        limit: Duration,
    ) -> Result<Box<TlsStream<TcpStream>>, HandshakeError> {
        handshake(&self.connector, ip, tcp, limit).await
    }
}

async fn handshake(
    connector: &TlsConnector,
    ip: IpAddr,
    tcp: TcpStream,
    limit: Duration,
) -> Result<Box<TlsStream<TcpStream>>, HandshakeError> {
    // Never sent: it only is the name that sessions are kept under.
    let name = ServerName::IpAddress(ip.into());
    match tokio::time::timeout(limit, connector.connect(name, tcp)).await {
        Err(_) => Err(HandshakeError::TimedOut),
        Ok(Err(error)) => Err(HandshakeError::Failed(error)),
        Ok(Ok(stream)) => Ok(Box::new(stream)),
    }
}

/// Takes every certificate: expired, self-signed, for another name.
#[derive(Debug)]
pub struct NotValidated(Arc<CryptoProvider>);

impl NotValidated {
    /// Takes signatures of every scheme that the provider knows.
    #[must_use]
    pub const fn new(provider: Arc<CryptoProvider>) -> Self {
        Self(provider)
    }
}

impl ServerCertVerifier for NotValidated {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    // A signature proves nothing about a certificate that nobody vouches for.
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_towards_targets_can_be_served() {
        for policy in SecurityPolicy::all() {
            let policy = SecurityPolicy::towards_targets(std::iter::once(policy));
            for version in [ProtocolVersion::Http1, ProtocolVersion::Http2] {
                assert!(TargetTls::try_new(policy, version).is_ok(), "{}", policy.name);
            }
        }
    }
}

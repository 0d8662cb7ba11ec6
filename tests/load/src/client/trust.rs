//! Whom TLS connections trust.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::target::Target;

/// Whose certificates are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trust {
    /// What the system trusts.
    System,
    /// The authorities in a PEM file, and no others.
    Authorities(PathBuf),
    /// Anyone: for servers with certificates of their own making.
    Anyone,
}

impl Trust {
    /// As the command line says.
    pub(crate) fn of(target: &Target) -> Self {
        match &target.ca {
            _ if target.insecure => Self::Anyone,
            Some(file) => Self::Authorities(file.clone()),
            None => Self::System,
        }
    }

    /// Settings of TLS: versions 1.2 and 1.3, ALPN `http/1.1`, with the provider
    /// named, since the workspace has two.
    ///
    /// # Errors
    /// When there are no certificates to trust.
    pub(crate) fn client_config(&self) -> Result<Arc<ClientConfig>> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .context("TLS versions")?;
        let mut config = match self {
            Self::System => {
                let mut roots = RootCertStore::empty();
                let found = rustls_native_certs::load_native_certs();
                let (added, _) = roots.add_parsable_certificates(found.certs);
                ensure!(added > 0, "the system trusts no certificates: name a file with --ca");
                versions.with_root_certificates(roots).with_no_client_auth()
            }
            Self::Authorities(file) => {
                let mut roots = RootCertStore::empty();
                let named = || format!("certificates in {}", file.display());
                for certificate in CertificateDer::pem_file_iter(file).with_context(named)? {
                    roots.add(certificate.with_context(named)?).with_context(named)?;
                }
                ensure!(!roots.is_empty(), "no {}", named());
                versions.with_root_certificates(roots).with_no_client_auth()
            }
            Self::Anyone => versions
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(BelieveAll(provider)))
                .with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Believes every certificate, but not every signature: the handshake stays one.
#[derive(Debug)]
struct BelieveAll(Arc<CryptoProvider>);

impl ServerCertVerifier for BelieveAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

//! Certificates of clients, for mutual TLS: authorities, chains, revocation
//! lists, and TLS clients that present them or take any server certificate.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion,
    client::{
        ResolvesClientCert,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
    sign::CertifiedKey,
};
use tokio::sync::watch;

use crate::ca::Ca;

/// An authority for client certificates.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// What clients send after their leaf: nothing for a root.
    chain: Vec<CertificateDer<'static>>,
    pem: String,
}

/// A client's certificate with its key and the issuers below the root.
#[derive(Debug)]
pub struct ClientCertificate {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// PEM of the leaf.
    pub pem: String,
    /// PEM of the key.
    pub key_pem: String,
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Staff");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

impl Authority {
    /// A root.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn root(name: &str) -> Result<Self> {
        let (params, key) = (ca_params(name), KeyPair::generate()?);
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), chain: Vec::new(), pem })
    }

    /// An authority that this one vouches for.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn intermediate(&self, name: &str) -> Result<Self> {
        let (params, key) = (ca_params(name), KeyPair::generate()?);
        let certificate = params.signed_by(&key, &self.issuer)?;
        let chain = [&[certificate.der().clone()], self.chain.as_slice()].concat();
        Ok(Self { issuer: Issuer::new(params, key), chain, pem: certificate.pem() })
    }

    /// Its certificate, for a trust store.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for a client with this common name.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn issue(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Result<ClientCertificate> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &self.issuer)?;
        let chain = [&[leaf.der().clone()], self.chain.as_slice()].concat();
        Ok(ClientCertificate { chain, pem: leaf.pem(), key_pem: key.serialize_pem() })
    }

    /// PEM of a list that revokes the certificates with these serial numbers.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn revoke(&self, serials: &[u64]) -> Result<String> {
        let revoked = serials.iter().map(|&serial| RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2054, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(params.signed_by(&self.issuer)?.pem()?)
    }
}

impl ClientCertificate {
    fn key(&self) -> Result<CertifiedKey> {
        let key: PrivateKeyDer<'static> = KeyPair::from_pem(&self.key_pem)?
            .serialize_der()
            .try_into()
            .ok()
            .context("a key that rustls does not know")?;
        Ok(CertifiedKey::new(self.chain.clone(), aws_lc_rs::sign::any_supported_type(&key)?))
    }
}

/// A client that trusts `ca` and presents a certificate when asked.
#[derive(Debug)]
pub struct PresentingClient {
    /// Its settings.
    pub config: Arc<ClientConfig>,
    asked: watch::Receiver<Option<Vec<Vec<u8>>>>,
}

impl PresentingClient {
    /// Settings as of [`Ca::client`], with `certificate` besides.
    ///
    /// # Errors
    /// When the authority or the key cannot be read back.
    pub fn try_new(
        ca: &Ca,
        alpn: &[&str],
        versions: &[&'static SupportedProtocolVersion],
        certificate: Option<&ClientCertificate>,
    ) -> Result<Self> {
        let key = certificate.map(ClientCertificate::key).transpose()?.map(Arc::new);
        let (ask, asked) = watch::channel(None);
        let mut config = ClientConfig::clone(ca.client(alpn, versions)?.as_ref());
        config.client_auth_cert_resolver = Arc::new(Presenting { key, ask });
        Ok(Self { config: Arc::new(config), asked })
    }

    /// The names of authorities that the server sent with its request for a certificate; `None` if it
    /// has asked for none.
    #[must_use]
    pub fn authorities(&self) -> Option<Vec<Vec<u8>>> {
        self.asked.borrow().clone()
    }
}

#[derive(Debug)]
struct Presenting {
    key: Option<Arc<CertifiedKey>>,
    ask: watch::Sender<Option<Vec<Vec<u8>>>>,
}

impl ResolvesClientCert for Presenting {
    fn resolve(&self, hints: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.ask.send_replace(Some(hints.iter().map(|hint| hint.to_vec()).collect()));
        self.key.clone()
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Settings of a client that offers `schemes` for signatures and takes any certificate.
///
/// # Errors
/// When the versions do not fit the cryptography.
pub fn taking_anything(
    schemes: &[SignatureScheme],
    versions: &[&'static SupportedProtocolVersion],
) -> Result<Arc<ClientConfig>> {
    taking_anything_with(aws_lc_rs::default_provider(), schemes, versions)
}

/// The same with cryptography of one's own.
///
/// # Errors
/// When the versions do not fit the cryptography.
pub fn taking_anything_with(
    provider: CryptoProvider,
    schemes: &[SignatureScheme],
    versions: &[&'static SupportedProtocolVersion],
) -> Result<Arc<ClientConfig>> {
    let verifier = Arc::new(TakingAnything(schemes.to_vec()));
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct TakingAnything(Vec<SignatureScheme>);

impl ServerCertVerifier for TakingAnything {
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
        self.0.clone()
    }
}

//! A certificate authority for one test, and TLS client settings that trust it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject as _},
};

/// Both TLS versions that rustls speaks.
pub const ALL_VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// A certificate authority.
#[derive(Debug)]
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate with its key, as PEM files.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The name configuration refers to it by.
    pub name: String,
    /// PEM file with the leaf.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub private_key: PathBuf,
}

impl Ca {
    /// Makes a new authority.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn try_new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Albeit end-to-end test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// The authority's own certificate.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Writes a new certificate for `dns_names` into `dir`, replacing one of the same name.
    ///
    /// # Errors
    /// When a DNS name is malformed or a file cannot be written.
    pub fn issue(&self, dir: &Path, name: &str, dns_names: &[&str]) -> Result<Certificate> {
        self.issue_with(dir, name, dns_names, &KeyPair::generate()?, |_| {})
    }

    /// The same with a key of one's own and whatever `change` makes of the rest.
    ///
    /// # Errors
    /// When a DNS name is malformed or a file cannot be written.
    pub fn issue_with(
        &self,
        dir: &Path,
        name: &str,
        dns_names: &[&str],
        key: &KeyPair,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Result<Certificate> {
        let names: Vec<String> = dns_names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let leaf = params.signed_by(key, &self.issuer)?;
        let certificate = dir.join(format!("{name}.pem"));
        let private_key = dir.join(format!("{name}-key.pem"));
        fs::write(&certificate, leaf.pem())?;
        fs::write(&private_key, key.serialize_pem())?;
        Ok(Certificate { name: name.to_owned(), certificate, private_key })
    }

    /// Writes the authority's certificate into `dir`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, dir: &Path) -> Result<PathBuf> {
        let file = dir.join("ca.pem");
        fs::write(&file, &self.pem)?;
        Ok(file)
    }

    /// Client settings that trust this authority, offer `versions`, and the
    /// application protocols `alpn` in this order. One value keeps TLS sessions for resumption.
    ///
    /// # Errors
    /// When the authority's certificate cannot be read back.
    pub fn client(
        &self,
        alpn: &[&str],
        versions: &[&'static SupportedProtocolVersion],
    ) -> Result<Arc<ClientConfig>> {
        trusting(&self.pem, alpn, versions)
    }
}

/// Client settings that trust the certificates in `pem`.
///
/// # Errors
/// When `pem` holds no readable certificate.
pub fn trusting(
    pem: &str,
    alpn: &[&str],
    versions: &[&'static SupportedProtocolVersion],
) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate?)?;
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(Arc::new(config))
}

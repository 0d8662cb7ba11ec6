//! Whose certificates are believed.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem, pem::PemObject as _},
};

use crate::tls::target::NotValidated;

/// Both versions that the library speaks, newest first.
pub(super) const BOTH_VERSIONS: &[&SupportedProtocolVersion] =
    &[&rustls::version::TLS13, &rustls::version::TLS12];

/// Whose certificates are believed.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Those of these authorities.
    Authorities(Arc<RootCertStore>),
    /// Everybody's: nothing is verified, as an Elastic Load Balancing balancer does with its targets.
    Unverified,
}

/// Authorities that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be read.
    #[error("cannot read {file}")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is no PEM file, or one of its certificates cannot be an authority.
    #[error("{file} has no usable certificates in PEM form")]
    Unusable {
        /// The file.
        file: PathBuf,
        /// Why, unless there is none at all.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

impl Trust {
    /// The authorities that the system trusts (`SSL_CERT_FILE` names others). Certificates that cannot be
    /// used are left out.
    #[must_use]
    pub fn system() -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self::Authorities(Arc::new(roots))
    }

    /// The authorities of a PEM file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or has no certificate, or one that cannot be an authority.
    pub fn authorities(file: &Path) -> Result<Self, TrustError> {
        let unusable = |source| TrustError::Unusable { file: file.to_owned(), source };
        let bytes =
            fs::read(file).map_err(|source| TrustError::Unreadable { file: file.to_owned(), source })?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&bytes) {
            let certificate = certificate.map_err(|error: pem::Error| unusable(Some(error.into())))?;
            roots.add(certificate).map_err(|error| unusable(Some(error.into())))?;
        }
        if roots.is_empty() {
            return Err(unusable(None));
        }
        Ok(Self::Authorities(Arc::new(roots)))
    }

    /// How handshakes are made that offer these versions and protocols.
    pub(super) fn client_config(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        alpn: &[&str],
    ) -> Result<ClientConfig, rustls::Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder =
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions)?;
        let mut config = match self {
            Self::Authorities(roots) => {
                builder.with_root_certificates(Arc::clone(roots)).with_no_client_auth()
            }
            Self::Unverified => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(NotValidated::new(provider)))
                .with_no_client_auth(),
        };
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error_chain::chain;

    #[track_caller]
    fn check(content: &str, expected: &str) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        fs::write(&file, content).unwrap();
        let said = Trust::authorities(&file).map_or_else(|error| chain(&error), |_| "usable".to_owned());
        assert_eq!(said.replace(&dir.path().display().to_string(), "DIR"), expected);
    }

    #[test]
    fn a_file_of_certificates_is_usable() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        check(&certificate.self_signed(&key).unwrap().pem(), "usable");
    }

    #[test]
    fn a_file_without_certificates_is_not() {
        check("hello", "DIR/ca.pem has no usable certificates in PEM form");
        let missing = Trust::authorities(Path::new("missing.pem")).unwrap_err();
        assert!(chain(&missing).starts_with("cannot read missing.pem: "), "{}", chain(&missing));
    }
}

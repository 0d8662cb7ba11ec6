//! The PEM files of a certificate and its private key.

use std::io;
use std::path::PathBuf;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::reload::{self, Fingerprint};

/// Where certificate and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// PEM file with the chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// PEM file with the private key, without a password.
    pub private_key: PathBuf,
}

/// Why certificate and key cannot be served with. Every variant is the
/// operator's to mend, and names the setting.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate's file cannot be read.
    #[error("server.ssl.certificate: {}: cannot be read", path.display())]
    CertificateFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The key's file cannot be read.
    #[error("server.ssl.certificate-private-key: {}: cannot be read", path.display())]
    PrivateKeyFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds no certificate.
    #[error("server.ssl.certificate: {}: holds no certificate in PEM", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
        /// What was found.
        source: pem::Error,
    },
    /// The file holds no key.
    #[error("server.ssl.certificate-private-key: {}: holds no private key in PEM", path.display())]
    NoPrivateKey {
        /// The file.
        path: PathBuf,
        /// What was found.
        source: pem::Error,
    },
    /// The certificate is malformed.
    #[error("server.ssl.certificate: {}: cannot be used", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// The key is malformed or of an unknown kind.
    #[error("server.ssl.certificate-private-key: {}: cannot be used", path.display())]
    PrivateKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// The key is another certificate's.
    #[error(
        "server.ssl.certificate-private-key: {}: does not belong to the certificate {}",
        private_key.display(),
        certificate.display()
    )]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        private_key: PathBuf,
    },
    /// The system gave no random numbers.
    #[error("no key for session tickets")]
    Tickets(#[source] rustls::Error),
}

/// What the two files held at one time.
#[derive(Debug)]
pub(super) struct Reading {
    certificate: io::Result<Vec<u8>>,
    private_key: io::Result<Vec<u8>>,
}

impl reload::Reading for Reading {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of([&self.certificate, &self.private_key])
    }
}

impl Files {
    /// Reads both. Blocks.
    pub(super) fn read(&self) -> Reading {
        let (certificate, private_key) = (&self.certificate, &self.private_key);
        Reading { certificate: reload::read(certificate), private_key: reload::read(private_key) }
    }

    /// The chain and the key.
    pub(super) fn parse(
        &self,
        reading: Reading,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let certificate = reading
            .certificate
            .map_err(|source| TlsError::CertificateFile { path: self.certificate.clone(), source })?;
        let private_key = reading
            .private_key
            .map_err(|source| TlsError::PrivateKeyFile { path: self.private_key.clone(), source })?;
        let no_certificate = |source| TlsError::NoCertificate { path: self.certificate.clone(), source };
        let chain = CertificateDer::pem_slice_iter(&certificate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(no_certificate)?;
        if chain.is_empty() {
            return Err(no_certificate(pem::Error::NoItemsFound));
        }
        let key = PrivateKeyDer::from_pem_slice(&private_key)
            .map_err(|source| TlsError::NoPrivateKey { path: self.private_key.clone(), source })?;
        Ok((chain, key))
    }
}

//! `server.ssl.*`, under Spring Boot's names for PEM files.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// TLS that ends here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SslConfig {
    /// Whether the port speaks TLS, and nothing else then. Default: when there
    /// is a certificate.
    pub enabled: Option<bool>,
    /// PEM file with the certificate chain, the server's own first. Relative to
    /// the working directory. Read again when it changes, and on SIGHUP.
    pub certificate: Option<PathBuf>,
    /// PEM file with the private key of the certificate, without a password.
    pub certificate_private_key: Option<PathBuf>,
}

impl SslConfig {
    /// Certificate and private key, when the port speaks TLS.
    #[must_use]
    pub fn files(&self) -> Option<(&Path, &Path)> {
        if self.enabled == Some(false) {
            return None;
        }
        self.certificate.as_deref().zip(self.certificate_private_key.as_deref())
    }

    /// What the types cannot say.
    pub(super) fn problems(&self) -> Option<String> {
        let (missing, reason) = match (&self.certificate, &self.certificate_private_key, self.enabled) {
            (_, _, Some(false)) | (None, None, None) | (Some(_), Some(_), _) => return None,
            (None, _, Some(true)) => ("certificate", "enabled"),
            (None, Some(_), None) => ("certificate", "certificate-private-key"),
            (Some(_), None, _) => ("certificate-private-key", "certificate"),
        };
        Some(format!("server.ssl.{missing}: must be set with server.ssl.{reason}"))
    }
}

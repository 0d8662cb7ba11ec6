//! TLS that ends here (Spring's `server.ssl.*`): one certificate, TLS 1.2 and
//! 1.3, HTTP/1.1.
//!
//! Whoever offers application protocols must offer `http/1.1` and is refused
//! otherwise (RFC 7301, section 3.2); whoever offers none gets HTTP/1.1 too.
//! Sessions are resumed by tickets, so nothing is kept for clients that are
//! gone. [`Tls`] holds what new connections are accepted with; open ones keep
//! what they began with.

mod files;

use std::sync::Arc;

use parking_lot::RwLock;
use rustls::crypto::aws_lc_rs;
use rustls::{InconsistentKeys, ServerConfig};
use tokio::sync::Notify;

use crate::metrics::Metrics;
use crate::reload::{self, Fingerprint, Reading as _};

use files::Reading;
pub use files::{Files, TlsError};

/// The only application protocol.
pub const ALPN: &str = "http/1.1";

/// What new connections are accepted with, and the files it came from.
#[derive(Debug)]
pub struct Tls {
    files: Files,
    current: RwLock<Arc<ServerConfig>>,
    loaded: Fingerprint,
    requested: Notify,
}

impl Tls {
    /// Reads certificate and key.
    ///
    /// # Errors
    ///
    /// A file cannot be read or holds the wrong thing, or the two are no pair.
    pub fn load(files: Files) -> Result<Self, TlsError> {
        let reading = files.read();
        let loaded = reading.fingerprint();
        let current = RwLock::new(server_config(&files, reading)?);
        Ok(Self { files, current, loaded, requested: Notify::new() })
    }

    /// What the next connection is accepted with.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read())
    }

    /// Asks for the files to be read again now, changed or not.
    pub fn request_reload(&self) {
        self.requested.notify_one();
    }

    /// Looks at the files each second and takes up what changed and then held
    /// still for a second, or what is there at a request. What cannot be used is
    /// logged and counted once, and the running pair stays in force.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost but what was seen and not yet taken up.
    pub async fn watch(&self, metrics: &Metrics) {
        let files = self.files.clone();
        let read = move || files.read();
        reload::watch(read, self.loaded, &self.requested, |reading| self.replace(reading, metrics)).await;
    }

    fn replace(&self, reading: Reading, metrics: &Metrics) {
        let result = match server_config(&self.files, reading) {
            Ok(config) => {
                *self.current.write() = config;
                tracing::info!(certificate = %self.files.certificate.display(), "certificate reloaded");
                "ok"
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, "certificate not reloaded, the old one stays in force");
                "failed"
            }
        };
        metrics.tls.certificate_reloads.with_label_values(&[result]).inc();
    }
}

fn server_config(files: &Files, reading: Reading) -> Result<Arc<ServerConfig>, TlsError> {
    let (chain, key) = files.parse(reading)?;
    let unusable_key = |source| TlsError::PrivateKey { path: files.private_key.clone(), source };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(unusable_key)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|source| match source {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::Mismatch {
                certificate: files.certificate.clone(),
                private_key: files.private_key.clone(),
            },
            rustls::Error::InvalidCertificate(_) => {
                TlsError::Certificate { path: files.certificate.clone(), source }
            }
            source => unusable_key(source),
        })?;
    config.alpn_protocols = vec![ALPN.as_bytes().to_vec()];
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(TlsError::Tickets)?;
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests;

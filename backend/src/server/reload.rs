//! Files that may change while the server runs.

use std::sync::Arc;

use crate::auth::Jwt;
use crate::endpoint::Services;
use crate::tls::Tls;

/// What is read from files that may change: the certificate, the keys of
/// tokens.
#[derive(Debug, Clone)]
pub struct Reload {
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) jwt: Option<Arc<Jwt>>,
}

impl Reload {
    /// Asks for every file to be read again now, changed or not. False when
    /// there is none.
    #[must_use]
    pub fn request(&self) -> bool {
        if let Some(tls) = &self.tls {
            tls.request_reload();
        }
        if let Some(jwt) = &self.jwt {
            jwt.request_reload();
        }
        self.tls.is_some() || self.jwt.is_some()
    }

    /// Keeps certificate and keys current until the server closes.
    pub(super) async fn watch(self, services: Arc<Services>) {
        let Self { tls, jwt } = self;
        let certificate = async {
            if let Some(tls) = tls {
                tls.watch(&services.metrics).await;
            }
        };
        let keys = async {
            if let Some(jwt) = jwt {
                jwt.watch(&services.metrics.auth).await;
            }
        };
        tokio::select! {
            ((), ()) = futures_util::future::join(certificate, keys) => {}
            () = services.lifecycle.closing().cancelled() => {}
        }
    }
}

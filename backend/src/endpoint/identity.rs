//! Who a session's client turns out to be, once it has brought a token, and
//! until when.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use crate::auth::{AuthError, Client, Token};
use crate::limits::LimitError;

use super::Services;

/// Why a client is not let in.
#[derive(Debug, thiserror::Error)]
pub(super) enum IdentityError {
    /// Its token names nobody, or it needs one.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The user has as many sessions as it may.
    #[error(transparent)]
    Limit(#[from] LimitError),
}

impl Services {
    /// The client with the principal that a token names, or that of its
    /// handshake, and with a place among the sessions of that user.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(super) async fn identify(
        &self,
        client: &Client,
        token: Option<&Token>,
    ) -> Result<Arc<Client>, IdentityError> {
        let Client { address, principal, places } = client;
        let principal = self.security.connect(token, principal.as_ref(), *address).await?;
        let places = match &principal {
            Some(principal) => self.admission.user(places, &principal.name, *address)?,
            None => places.clone(),
        };
        Ok(Arc::new(Client { address: *address, principal, places }))
    }
}

/// When the proof of a client's identity is over.
pub(super) fn expires_at(client: &Client, now: Instant) -> Option<Instant> {
    let left = client.principal.as_ref()?.time_left(SystemTime::now())?;
    now.checked_add(left)
}

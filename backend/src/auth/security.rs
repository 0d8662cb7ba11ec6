//! The one place that decides who may do what, counts and logs it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderMap;
use tokio::time::Instant;

use crate::limits::Throttle;
use crate::metrics::AuthMetrics;

use super::{
    Action, AuthError, Authenticator, Denied, OriginError, Origins, Principal, Rules, Sources, Token,
};

/// Who may connect, and as whom.
pub struct Security {
    /// Tells users by their tokens. None: tokens are not looked at, and
    /// everybody is anonymous.
    pub authenticator: Option<Arc<dyn Authenticator>>,
    /// Whether everybody must be somebody.
    pub required: bool,
    /// Where handshakes carry tokens.
    pub sources: Sources,
    /// Who may send and subscribe to what.
    pub rules: Rules,
    /// Whose pages may open a session.
    pub origins: Origins,
    /// Counts it.
    pub metrics: AuthMetrics,
    /// Bounds what is logged.
    pub log: Throttle,
}

impl std::fmt::Debug for Security {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Security").field("required", &self.required).finish_non_exhaustive()
    }
}

impl Security {
    /// Whom the request of a handshake names, if anybody: a token may still come
    /// with CONNECT.
    ///
    /// # Errors
    ///
    /// There is a token, and it names nobody.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn handshake(
        &self,
        headers: &HeaderMap,
        query: Option<&str>,
        address: IpAddr,
    ) -> Result<Option<Arc<Principal>>, AuthError> {
        if self.authenticator.is_none() {
            return Ok(None);
        }
        match self.sources.of_handshake(headers, query) {
            Some(token) => self.authenticate(&token, address).await.map(Some),
            None => Ok(None),
        }
    }

    /// Who a session belongs to that begins with this token, or without one:
    /// then to whom its handshake named.
    ///
    /// # Errors
    ///
    /// The token names nobody, or somebody must be named and is not.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn connect(
        &self,
        token: Option<&Token>,
        proven: Option<&Arc<Principal>>,
        address: IpAddr,
    ) -> Result<Option<Arc<Principal>>, AuthError> {
        if self.authenticator.is_none() {
            return Ok(proven.cloned());
        }
        match (token, proven) {
            (Some(token), _) => self.authenticate(token, address).await.map(Some),
            (None, Some(principal)) => self.still_valid(principal, address).map(Some),
            (None, None) if self.required => Err(self.failed(AuthError::Missing, address)),
            (None, None) => Ok(None),
        }
    }

    /// Whether a session's user still is who it is, now that another token came.
    ///
    /// # Errors
    ///
    /// The token names nobody, or another user.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn renew(
        &self,
        token: &Token,
        proven: Option<&Arc<Principal>>,
        address: IpAddr,
    ) -> Result<Option<Arc<Principal>>, AuthError> {
        if self.authenticator.is_none() {
            return Ok(proven.cloned());
        }
        let principal = self.authenticate(token, address).await?;
        match proven {
            Some(proven) if proven.name == principal.name => Ok(Some(principal)),
            _ => Err(self.failed(AuthError::OtherUser, address)),
        }
    }

    /// Whom a token names.
    ///
    /// # Errors
    ///
    /// It names nobody, which is counted and logged.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn authenticate(&self, token: &Token, address: IpAddr) -> Result<Arc<Principal>, AuthError> {
        let Some(authenticator) = &self.authenticator else {
            return Err(self.failed(AuthError::Unavailable, address));
        };
        if token.is_too_long() {
            return Err(self.failed(AuthError::Malformed, address));
        }
        match authenticator.authenticate(token).await {
            Ok(principal) => {
                self.metrics.successes.inc();
                Ok(principal)
            }
            Err(error) => Err(self.failed(error, address)),
        }
    }

    /// Whether a session may go on. Asked for each frame.
    ///
    /// # Errors
    ///
    /// Its token has expired, which is counted and logged.
    pub fn check_expiry(&self, principal: Option<&Principal>, address: IpAddr) -> Result<(), AuthError> {
        match principal {
            Some(principal) if principal.is_expired(SystemTime::now()) => {
                Err(self.ended(AuthError::Expired, address))
            }
            _ => Ok(()),
        }
    }

    /// Whether a client may do this with a destination.
    ///
    /// # Errors
    ///
    /// It may not, which is counted and logged.
    pub fn check_permission(
        &self,
        action: Action,
        destination: &str,
        principal: Option<&Principal>,
        address: IpAddr,
    ) -> Result<(), Denied> {
        self.rules.check(action, destination, principal).inspect_err(|_| {
            let action = action.as_str();
            self.metrics.denied.with_label_values(&[action]).inc();
            if let Some(suppressed) = self.log.pass(Instant::now()) {
                let user = principal.map(|principal| principal.name.as_str());
                tracing::warn!(%address, user, action, destination, suppressed, "access denied");
            }
        })
    }

    /// Whether a page may open a session; see [`Origins::check`].
    ///
    /// # Errors
    ///
    /// It may not, which is counted and logged.
    pub fn check_origin<'a>(
        &self,
        origin: Option<&'a str>,
        host: Option<&str>,
        address: IpAddr,
    ) -> Result<Option<&'a str>, OriginError> {
        self.origins.check(origin, host).inspect_err(|error| {
            let reason = error.reason();
            self.metrics.refused_origins.with_label_values(&[reason]).inc();
            if let Some(suppressed) = self.log.pass(Instant::now()) {
                tracing::warn!(%address, origin, host, reason, suppressed, "session of a page refused");
            }
        })
    }

    /// Counts and logs the end of a session: its token has expired, or none came
    /// in time.
    pub fn ended(&self, error: AuthError, address: IpAddr) -> AuthError {
        if error == AuthError::Expired {
            self.metrics.expired_sessions.inc();
        }
        self.failed(error, address)
    }

    fn still_valid(&self, principal: &Arc<Principal>, address: IpAddr) -> Result<Arc<Principal>, AuthError> {
        if principal.is_expired(SystemTime::now()) {
            return Err(self.failed(AuthError::Expired, address));
        }
        Ok(Arc::clone(principal))
    }

    /// Counts and logs a failure.
    fn failed(&self, error: AuthError, address: IpAddr) -> AuthError {
        let reason = error.reason();
        self.metrics.failures.with_label_values(&[reason]).inc();
        if let Some(suppressed) = self.log.pass(Instant::now()) {
            tracing::warn!(%address, reason, %error, suppressed, "authentication failed");
        }
        error
    }
}

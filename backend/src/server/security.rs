//! From the settings to who may connect.

use std::sync::Arc;

use tokio::time::Instant;

use crate::auth::{Authenticator, Jwt, KeyError, Origins, Security};
use crate::config::Config;
use crate::limits::{Admission, Bounds, Throttle};
use crate::metrics::Metrics;

use super::BindError;

/// Reads the keys of tokens, where there are any.
pub(super) fn jwt(config: &Config) -> Result<Option<Arc<Jwt>>, KeyError> {
    let jwt = &config.security.jwt;
    let sources = jwt.sources();
    if sources.is_empty() {
        return Ok(None);
    }
    Jwt::load(sources, jwt.settings()).map(Arc::new).map(Some)
}

/// Who may connect, and as whom.
pub(super) fn security(
    config: &Config,
    authenticator: Option<Arc<dyn Authenticator>>,
    metrics: &Metrics,
) -> Result<Security, BindError> {
    let settings = &config.security;
    let required = settings.required.unwrap_or_else(|| authenticator.is_some());
    if required && authenticator.is_none() {
        return Err(BindError::NoKeys);
    }
    Ok(Security {
        authenticator,
        required,
        sources: settings.token.sources(),
        rules: settings.rules(),
        origins: Origins::new(
            &config.websocket.allowed_origins,
            settings.null_origin,
            settings.missing_origin,
        ),
        metrics: metrics.auth.clone(),
        log: Throttle::new(Instant::now()),
    })
}

/// How many may connect.
pub(super) fn admission(config: &Config, metrics: &Metrics) -> Admission {
    let limits = &config.limits;
    let bounds = Bounds {
        per_user: limits.per_user(),
        per_address: limits.per_address(),
        handshakes: limits.handshakes(),
    };
    Admission::new(bounds, metrics.auth.clone(), Instant::now())
}

//! JSON Web Tokens (RFC 7519): signature, issuer, audience and time, and the
//! user and authorities that a token names.
//!
//! Signatures are verified once for each token; whether it is still valid is
//! asked each time. Keys come from files that are watched, and tokens verified
//! with keys that are gone are verified anew; sessions that are open go on until
//! their token expires.

mod cache;
mod claims;
mod keys;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};
use parking_lot::{Mutex, RwLock};
use serde_json::{Map, Value};
use tokio::sync::Notify;

use crate::metrics::AuthMetrics;
use crate::reload::{self, Fingerprint, Reading as _};

use super::{AuthError, Authenticator, Principal, Token};
use cache::{Cache, TokenHash};
use claims::Verified;
use keys::{Key, Reading};
pub use keys::{KeyError, KeySources};

/// Half of the verified tokens that are remembered.
const CACHE_HALF: usize = 5000;

/// What tokens must say, and what is read from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtSettings {
    /// The `iss` that tokens must have, if any.
    pub issuer: Option<String>,
    /// Tokens must be for one of these, `aud`; none for any audience.
    pub audiences: Vec<String>,
    /// By how much clocks may differ, for `exp` and `nbf`.
    pub clock_skew: Duration,
    /// The claim with the user's name.
    pub principal_claim: String,
    /// The claims with authorities.
    pub authorities_claims: Vec<String>,
    /// What is put before each authority.
    pub authority_prefix: String,
}

/// Keys, and the tokens that were verified with them.
#[derive(Debug)]
struct Current {
    keys: Vec<Key>,
    verified: Mutex<Cache>,
}

/// Tells users by JSON Web Tokens.
#[derive(Debug)]
pub struct Jwt {
    sources: KeySources,
    settings: JwtSettings,
    current: RwLock<Arc<Current>>,
    loaded: Fingerprint,
    requested: Notify,
}

impl Jwt {
    /// Reads the keys.
    ///
    /// # Errors
    ///
    /// A file cannot be read or holds no usable key.
    pub fn load(sources: KeySources, settings: JwtSettings) -> Result<Self, KeyError> {
        let reading = sources.read();
        let loaded = reading.fingerprint();
        let current = RwLock::new(current(&sources, reading)?);
        Ok(Self { sources, settings, current, loaded, requested: Notify::new() })
    }

    /// Whom the token names.
    ///
    /// # Errors
    ///
    /// The token is not valid at `now`.
    pub fn verify(&self, token: &str, now: SystemTime) -> Result<Arc<Principal>, AuthError> {
        let current = Arc::clone(&self.current.read());
        let hash = TokenHash::of(token);
        let known = current.verified.lock().find(hash);
        if let Some(verified) = known {
            return verified.at(now);
        }
        let verified = Verified::try_new(&self.claims(&current.keys, token)?, &self.settings)?;
        let principal = verified.clone().at(now)?;
        current.verified.lock().insert(hash, verified);
        Ok(principal)
    }

    /// Asks for the keys to be read again now, changed or not.
    pub fn request_reload(&self) {
        self.requested.notify_one();
    }

    /// Looks at the key files each second and takes up what changed and then
    /// held still for a second, or what is there at a request. What cannot be
    /// used is logged and counted once, and the running keys stay in force.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost but what was seen and not yet taken up.
    pub async fn watch(&self, metrics: &AuthMetrics) {
        if !self.sources.has_files() {
            return;
        }
        let sources = self.sources.clone();
        let read = move || sources.read();
        reload::watch(read, self.loaded, &self.requested, |reading| self.replace(reading, metrics)).await;
    }

    fn replace(&self, reading: Reading, metrics: &AuthMetrics) {
        let result = match current(&self.sources, reading) {
            Ok(current) => {
                tracing::info!(keys = current.keys.len(), "keys of tokens reloaded");
                *self.current.write() = current;
                "ok"
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, "keys of tokens not reloaded, the old ones stay in force");
                "failed"
            }
        };
        metrics.key_reloads.with_label_values(&[result]).inc();
    }

    /// The claims of a token, all but those of time checked.
    fn claims(&self, keys: &[Key], token: &str) -> Result<Map<String, Value>, AuthError> {
        let header = jsonwebtoken::decode_header(token).map_err(|error| match error.kind() {
            // An `alg` that is no signature's, as `none`.
            ErrorKind::Json(_) => AuthError::Algorithm,
            _ => AuthError::Malformed,
        })?;
        // Extensions that must be understood, and are not (RFC 7515, 4.1.11).
        if header.crit.is_some() {
            return Err(AuthError::Malformed);
        }
        let mut failure = AuthError::Algorithm;
        for key in keys.iter().filter(|key| key.algorithm == header.alg) {
            if key.id.is_some() && header.kid.is_some() && key.id != header.kid {
                if failure == AuthError::Algorithm {
                    failure = AuthError::UnknownKey;
                }
                continue;
            }
            match jsonwebtoken::decode(token, &key.key, &self.validation(key.algorithm)) {
                Ok(data) => return Ok(data.claims),
                Err(error) => failure = blame(error.kind()),
            }
            if failure != AuthError::Signature {
                break;
            }
        }
        Err(failure)
    }

    /// Time is checked apart, against a clock that is passed in.
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        let mut required = vec!["exp"];
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = !self.settings.audiences.is_empty();
        if let Some(issuer) = &self.settings.issuer {
            validation.set_issuer(std::slice::from_ref(issuer));
            required.push("iss");
        }
        if validation.validate_aud {
            validation.set_audience(&self.settings.audiences);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        validation
    }
}

impl Authenticator for Jwt {
    fn authenticate<'a>(&'a self, token: &'a Token) -> BoxFuture<'a, Result<Arc<Principal>, AuthError>> {
        ready(self.verify(token.secret(), SystemTime::now())).boxed()
    }
}

fn current(sources: &KeySources, reading: Reading) -> Result<Arc<Current>, KeyError> {
    let keys = sources.parse(reading)?;
    Ok(Arc::new(Current { keys, verified: Mutex::new(Cache::new(CACHE_HALF)) }))
}

fn blame(kind: &ErrorKind) -> AuthError {
    match kind {
        ErrorKind::InvalidSignature => AuthError::Signature,
        ErrorKind::InvalidIssuer => AuthError::Issuer,
        ErrorKind::InvalidAudience => AuthError::Audience,
        ErrorKind::InvalidAlgorithm => AuthError::Algorithm,
        ErrorKind::MissingRequiredClaim(claim) => AuthError::Claim(claim.clone()),
        _ => AuthError::Malformed,
    }
}

#[cfg(test)]
mod tests;

//! What a verified token says.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use crate::auth::{AuthError, Principal};

use super::JwtSettings;

/// Longest name of a user, in bytes: it is kept, and compared for each message
/// to a user.
const NAME_LIMIT: usize = 256;

/// A user with the time in which its token says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verified {
    pub(super) principal: Arc<Principal>,
    /// `nbf`, less the clock skew.
    pub(super) not_before: SystemTime,
}

impl Verified {
    /// Reads the claims of a token whose signature, issuer and audience are
    /// right.
    pub(super) fn try_new(claims: &Map<String, Value>, settings: &JwtSettings) -> Result<Self, AuthError> {
        let claim = |name: &str| AuthError::Claim(name.to_owned());
        let skew = settings.clock_skew;
        let expires_at =
            time(claims, "exp")?.and_then(|exp| exp.checked_add(skew)).ok_or_else(|| claim("exp"))?;
        let not_before = time(claims, "nbf")?.and_then(|nbf| nbf.checked_sub(skew));
        let name = match claims.get(&settings.principal_claim) {
            Some(Value::String(name)) if !name.is_empty() && name.len() <= NAME_LIMIT => name.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => return Err(claim(&settings.principal_claim)),
        };
        let mut authorities: Vec<String> = settings
            .authorities_claims
            .iter()
            .filter_map(|name| claims.get(name))
            .flat_map(words)
            .map(|word| format!("{}{word}", settings.authority_prefix))
            .collect();
        authorities.sort_unstable();
        authorities.dedup();
        let principal = Principal { name, authorities, expires_at: Some(expires_at) };
        Ok(Self { principal: Arc::new(principal), not_before: not_before.unwrap_or(SystemTime::UNIX_EPOCH) })
    }

    /// Whether the token is valid at this time.
    pub(super) fn at(self, now: SystemTime) -> Result<Arc<Principal>, AuthError> {
        if self.principal.is_expired(now) {
            Err(AuthError::Expired)
        } else if now < self.not_before {
            Err(AuthError::NotYetValid)
        } else {
            Ok(self.principal)
        }
    }
}

/// A `NumericDate`: seconds since 1970, perhaps with a fraction (RFC 7519,
/// section 2).
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<SystemTime>, AuthError> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    value
        .as_f64()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since))
        .map(Some)
        .ok_or_else(|| AuthError::Claim(name.to_owned()))
}

/// Words in one text, as `scope` has them (RFC 8693, section 4.2), or in an
/// array.
fn words(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => text.split_ascii_whitespace().collect(),
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

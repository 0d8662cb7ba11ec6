//! Tokens of HS256, and a server that asks for them.

use std::time::{SystemTime, UNIX_EPOCH};

use albeit_backend::config::{Config, Secret};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::harness::{Running, start};

pub(crate) const SECRET: &str = "a secret of at least thirty-two bytes";

/// Asks for tokens of [`SECRET`], whose time is taken exactly.
pub(crate) fn ask(config: &mut Config) {
    config.security.jwt.secret = Some(Secret::new(SECRET.to_owned()));
    config.security.jwt.clock_skew = std::time::Duration::ZERO;
}

/// A server that asks for tokens.
pub(crate) fn secured() -> Running {
    start(ask)
}

/// Seconds from 1970 to `later` seconds from now.
pub(crate) fn time(later: f64) -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() + later
}

/// Signs claims.
pub(crate) fn sign(claims: &Value) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

/// A token of a user for an hour.
pub(crate) fn of(name: &str) -> String {
    with_roles(name, &[])
}

/// The same with authorities.
pub(crate) fn with_roles(name: &str, roles: &[&str]) -> String {
    sign(&json!({ "sub": name, "exp": time(3600.0), "roles": roles }))
}

/// A token of a user that expires after so many seconds.
pub(crate) fn for_seconds(name: &str, seconds: f64) -> String {
    sign(&json!({ "sub": name, "exp": time(seconds) }))
}

//! Tokens as `conf/reference/token` makes them.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// Secret of the tokens.
pub(super) const SECRET: &str = "this secret is for a trial on loopback";

/// A token of a user, good for an hour.
pub(super) fn of(name: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({ "sub": name, "exp": now + 3600 });
    let signed = format!("{}.{}", part(&json!({ "alg": "HS256" })), part(&claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes())))
}

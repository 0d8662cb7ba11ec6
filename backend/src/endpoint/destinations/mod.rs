//! What destinations mean, as in Spring: `/topic` and `/queue` are the broker's,
//! `/app` the application's, `/user` leads to the sessions of users. Where Spring
//! drops a frame in silence, the client gets an ERROR here.

mod history;
mod route;
mod send;
mod subscribe;

use crate::app::Rejection;
use crate::stomp::Headers;

pub(super) use send::send;
pub(super) use subscribe::{Registered, Subscribing, subscribe};

/// Headers with which a client proves who it is.
const SECRET_HEADERS: [&str; 4] = ["authorization", "login", "passcode", "token"];

/// The headers that the application sees: all but secrets.
fn public_headers(headers: &Headers) -> Vec<(String, String)> {
    let secret = |name: &str| SECRET_HEADERS.iter().any(|secret| secret.eq_ignore_ascii_case(name));
    let public = headers.iter().filter(|(name, _)| !secret(name));
    public.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn unknown() -> Rejection {
    Rejection::new("unknown destination", "known are /topic/…, /queue/…, /app/… and /user/…")
}

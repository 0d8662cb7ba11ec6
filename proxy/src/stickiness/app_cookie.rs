//! `app_cookie`: the cookies AWSALBAPP-0 to AWSALBAPP-3.
//!
//! ELB page: "Sticky sessions for your Application Load Balancer",
//! application-based stickiness. A client is bound once a target sets the
//! application's cookie, and stays so while it sends back both that cookie, of
//! which only the name counts, and the load balancer's. The value is one text
//! cut into up to four cookies of 4 KB; a cookie that carries no piece says
//! `_remove_`. Ours has 128 characters, as AWSALB has, so that AWSALBAPP-0
//! always carries all of it; it is put together from any number of pieces.
//!
//! Where ELB does not say: a bound client's value is renewed with each
//! response, so that a client whose target turned unhealthy stays with the new
//! one though that need not set the application's cookie again; `_remove_` is
//! for clients that are not bound. On a listener without TLS no attributes for
//! Chromium are added: it would refuse a Secure cookie there.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use http::HeaderValue;

pub use super::lb_cookie::NewReason;
use super::{
    GroupId,
    cookie::{self, CookieValue, Token, VALUE_LENGTH},
    lb_cookie,
    seal::{Keys, NONCE_LENGTH, SealError},
};
use crate::model::ListenerProtocol;

/// The cookies of the load balancer, in the order of the pieces they carry.
pub const AWSALBAPP: [&str; 4] = ["AWSALBAPP-0", "AWSALBAPP-1", "AWSALBAPP-2", "AWSALBAPP-3"];
/// The value of a cookie that carries nothing.
pub const REMOVE: &str = "_remove_";
/// Most characters of a value in one cookie.
pub const PIECE_LENGTH: usize = 4096;

const CONTEXT: &[u8] = b"AWSALBAPP";
/// The first version of Chromium that treats cookies without `SameSite` as `Lax`.
const CHROMIUM_LAX: u32 = 80;

/// What a request's cookies say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The client is bound to this target, if it is still registered and usable.
    Sticky(SocketAddr),
    /// The algorithm chooses; the request counts as not sticky.
    New(NewReason),
    /// The algorithm chooses: the load balancer's cookies came without the application's.
    NoApplicationCookie,
}

/// Reads a request's cookies.
///
/// `cookie_lines` are the values of all Cookie headers; `cookie_name` is the application's cookie. A
/// value that is as old as `duration` still counts.
#[must_use]
pub fn decide<'a>(
    cookie_lines: impl Iterator<Item = &'a [u8]>,
    cookie_name: &str,
    keys: &Keys,
    (group, duration): (GroupId, Duration),
    now: SystemTime,
) -> Decision {
    let mut pieces: [Option<&[u8]>; AWSALBAPP.len()] = [None; AWSALBAPP.len()];
    let mut has_application_cookie = false;
    for pair in cookie::pairs(cookie_lines) {
        if cookie::value_of(pair, cookie_name).is_some() {
            has_application_cookie = true;
        }
        for (piece, name) in pieces.iter_mut().zip(AWSALBAPP) {
            *piece = piece.or_else(|| cookie::value_of(pair, name));
        }
    }
    let [Some(first), ..] = pieces else { return Decision::New(NewReason::NoCookie) };
    if first == REMOVE.as_bytes() {
        return Decision::New(NewReason::NoCookie);
    }
    if !has_application_cookie {
        return Decision::NoApplicationCookie;
    }
    let token = joined(&pieces).and_then(|value| Token::open(keys, CONTEXT, &value));
    lb_cookie::bound_to(token, group, duration, now).map_or_else(Decision::New, Decision::Sticky)
}

/// The value that the pieces make; `None` if it has another length than ours.
fn joined(pieces: &[Option<&[u8]>]) -> Option<[u8; VALUE_LENGTH]> {
    let mut value = [0; VALUE_LENGTH];
    let mut rest = value.as_mut_slice();
    for piece in pieces.iter().map_while(|piece| piece.filter(|piece| *piece != REMOVE.as_bytes())) {
        let (filled, free) = rest.split_at_mut_checked(piece.len())?;
        filled.copy_from_slice(piece);
        rest = free;
    }
    rest.is_empty().then_some(value)
}

/// A new value that binds a client to `target`. `nonce` is random.
///
/// # Errors
///
/// [`SealError`] if the cipher fails; the response then goes without cookies.
pub fn seal(
    keys: &Keys,
    group: GroupId,
    target: SocketAddr,
    now: SystemTime,
    nonce: [u8; NONCE_LENGTH],
) -> Result<CookieValue, SealError> {
    Token::new(group, Some(target), now).seal(keys, CONTEXT, nonce)
}

/// Whether a target's response, whose Set-Cookie values are given, sets the application's cookie.
pub fn sets_cookie<'a>(mut set_cookies: impl Iterator<Item = &'a [u8]>, cookie_name: &str) -> bool {
    set_cookies.any(|line| cookie::value_of(line.trim_ascii_start(), cookie_name).is_some())
}

/// The four Set-Cookie values of a response: a value in its pieces, or with `None` what ends a binding.
///
/// They are SameSite=None and Secure for a `user_agent` of Chromium 80 and later on an HTTPS listener.
#[must_use]
pub fn set_cookie_headers(
    value: Option<&CookieValue>,
    listener: ListenerProtocol,
    user_agent: Option<&[u8]>,
    now: SystemTime,
) -> [HeaderValue; 4] {
    let for_chromium = listener.is_tls() && user_agent.is_some_and(is_chromium_with_lax_default);
    let attributes = if for_chromium { "; SameSite=None; Secure" } else { "" };
    let expires = cookie::expires(now);
    let mut rest = value.map_or("", CookieValue::as_str);
    AWSALBAPP.map(|name| {
        let (piece, after) = rest.split_at_checked(PIECE_LENGTH).unwrap_or((rest, ""));
        rest = after;
        let piece = if piece.is_empty() { REMOVE } else { piece };
        cookie::header_value(format!("{name}={piece}; Expires={expires}; Path=/{attributes}"))
    })
}

/// Whether a user agent names `Chrome/` or `Chromium/` with a version of at least 80.
fn is_chromium_with_lax_default(user_agent: &[u8]) -> bool {
    ["Chrome/", "Chromium/"].iter().any(|product| {
        memchr::memmem::find_iter(user_agent, product).any(|at| {
            let version = user_agent.get(at + product.len()..).unwrap_or_default();
            let digits = version.iter().take_while(|byte| byte.is_ascii_digit());
            let major = digits
                .fold(0_u32, |major, digit| major.saturating_mul(10).saturating_add(u32::from(digit - b'0')));
            major >= CHROMIUM_LAX
        })
    })
}

#[cfg(test)]
mod tests;

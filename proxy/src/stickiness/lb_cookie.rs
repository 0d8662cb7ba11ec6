//! `lb_cookie`: the cookies AWSALB and AWSALBCORS.
//!
//! ELB page: "Sticky sessions for your Application Load Balancer", duration-based
//! stickiness. Both cookies carry the same sealed value and expire in the
//! browser after seven days, whatever the configured duration; that is held
//! against the issue time inside the value. The value's content is ours, its
//! look is ELB's: 128 characters of base64, different in each response.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use http::HeaderValue;

use super::{
    GroupId,
    cookie::{self, CookieValue, Token},
    seal::{Keys, NONCE_LENGTH, SealError},
};
use crate::model::ListenerProtocol;

/// The cookie of requests of one site.
pub const AWSALB: &str = "AWSALB";
/// The cookie for cross-origin requests; it decides if a request carries both.
pub const AWSALBCORS: &str = "AWSALBCORS";

/// Keeps other sealed cookies from being taken for these.
const CONTEXT: &[u8] = b"AWSALB";

/// What a request's cookies say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The client is bound to this target, if it is still registered and usable.
    Sticky(SocketAddr),
    /// The algorithm chooses; the request counts as not sticky.
    New(NewReason),
}

/// Why the algorithm chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewReason {
    /// The client sent no cookie of the load balancer.
    NoCookie,
    /// The value was not sealed by any of our keys, or was changed on the way.
    Undecodable,
    /// The value was made for another target group.
    OtherGroup,
    /// The value is older than the configured duration.
    Expired,
}

/// Reads a request's cookies.
///
/// `cookie_lines` are the values of all Cookie headers (HTTP/2 may split them). A value that is as old
/// as `duration` still counts. A value from the future, by a replica whose clock is ahead, is new.
#[must_use]
pub fn decide<'a>(
    cookie_lines: impl Iterator<Item = &'a [u8]>,
    keys: &Keys,
    group: GroupId,
    duration: Duration,
    now: SystemTime,
) -> Decision {
    let Some(value) = cookie::find(cookie_lines, AWSALB, AWSALBCORS) else {
        return Decision::New(NewReason::NoCookie);
    };
    bound_to(Token::open(keys, CONTEXT, value), group, duration, now)
        .map_or_else(Decision::New, Decision::Sticky)
}

/// The target that an opened value binds to.
pub(super) fn bound_to(
    token: Option<Token>,
    group: GroupId,
    duration: Duration,
    now: SystemTime,
) -> Result<SocketAddr, NewReason> {
    let Some(Token { target: Some(target), group: made_for, .. }) = token else {
        return Err(NewReason::Undecodable);
    };
    if made_for != group {
        return Err(NewReason::OtherGroup);
    }
    match token.is_some_and(|token| token.has_expired(duration, now)) {
        true => Err(NewReason::Expired),
        false => Ok(target),
    }
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

/// The two Set-Cookie values of a response: AWSALB, AWSALBCORS.
///
/// AWSALBCORS is Secure only where the client spoke HTTPS; AWSALB never is.
#[must_use]
pub fn set_cookie_headers(
    value: &CookieValue,
    listener: ListenerProtocol,
    now: SystemTime,
) -> [HeaderValue; 2] {
    cookie::set_cookie_pair((AWSALB, AWSALBCORS), value, listener, now)
}

#[cfg(test)]
mod tests;

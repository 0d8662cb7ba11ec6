//! `lb_cookie`: the cookies AWSALB and AWSALBCORS.
//!
//! ELB page: "Sticky sessions for your Application Load Balancer", duration-based
//! stickiness. Both cookies carry the same sealed value and expire in the
//! browser after seven days, whatever the configured duration; that is held
//! against the issue time inside the value. The value's content is ours, its
//! look is ELB's: 128 characters of base64, different in each response.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

use super::seal::{Keys, NONCE_LENGTH, OVERHEAD, SealError};
use crate::model::ListenerProtocol;

/// The cookie of requests of one site.
pub const AWSALB: &str = "AWSALB";
/// The cookie for cross-origin requests; it decides if a request carries both.
pub const AWSALBCORS: &str = "AWSALBCORS";
/// How long browsers keep the cookies.
pub const EXPIRES_AFTER: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Length of a cookie's value, in characters.
pub const VALUE_LENGTH: usize = 128;

/// A target group as cookies name it: eight bytes of the SHA-256 of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupId([u8; 8]);

impl GroupId {
    /// The id of the target group with this name; made once, when the configuration is loaded.
    #[must_use]
    pub fn new(target_group_name: &str) -> Self {
        let hash = digest::digest(&digest::SHA256, target_group_name.as_bytes());
        Self(hash.as_ref().first_chunk().copied().unwrap_or_default())
    }
}

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
    /// The client sent no cookie.
    NoCookie,
    /// The value was not sealed by any of our keys, or was changed on the way.
    Undecodable,
    /// The value was made for another target group.
    OtherGroup,
    /// The value is older than the configured duration.
    Expired,
}

/// A sealed cookie value; fit for a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieValue(String);

impl CookieValue {
    /// The value's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
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
    let Some(value) = find(cookie_lines) else { return Decision::New(NewReason::NoCookie) };
    let Some(token) = open(keys, value) else { return Decision::New(NewReason::Undecodable) };
    if token.group != group {
        return Decision::New(NewReason::OtherGroup);
    }
    if epoch_seconds(now).saturating_sub(token.issued_at) > duration.as_secs() {
        return Decision::New(NewReason::Expired);
    }
    Decision::Sticky(token.target)
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
    let token = Token { group, target, issued_at: epoch_seconds(now) };
    let sealed = keys.seal(CONTEXT, &token.encode(), nonce)?;
    Ok(CookieValue(STANDARD.encode(sealed)))
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
    let value = value.as_str();
    let expires = imf_fixdate(now + EXPIRES_AFTER);
    let secure = if listener.is_tls() { "; Secure" } else { "" };
    [
        header_value(format!("{AWSALB}={value}; Expires={expires}; Path=/")),
        header_value(format!("{AWSALBCORS}={value}; Expires={expires}; Path=/; SameSite=None{secure}")),
    ]
}

/// Keeps other sealed cookies from being taken for these.
const CONTEXT: &[u8] = b"AWSALB";
/// First byte of a token.
const VERSION: u8 = 1;
/// Length of a token: what seals and encodes to exactly [`VALUE_LENGTH`].
const TOKEN_LENGTH: usize = VALUE_LENGTH / 4 * 3 - OVERHEAD;
/// RFC 9110 section 5.6.7.
const IMF_FIXDATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// What a value carries: version (1 byte), group (8), issue time (8), address as IPv6 (16), port (2),
/// address family (1), scope (4), zeros up to [`TOKEN_LENGTH`]. Numbers are big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token {
    group: GroupId,
    target: SocketAddr,
    issued_at: u64,
}

impl Token {
    fn encode(&self) -> Vec<u8> {
        let (address, family, scope) = match self.target {
            SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), 4, 0),
            SocketAddr::V6(v6) => (*v6.ip(), 6, v6.scope_id()),
        };
        let mut bytes = Vec::with_capacity(TOKEN_LENGTH);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.group.0);
        bytes.extend_from_slice(&self.issued_at.to_be_bytes());
        bytes.extend_from_slice(&address.octets());
        bytes.extend_from_slice(&self.target.port().to_be_bytes());
        bytes.push(family);
        bytes.extend_from_slice(&scope.to_be_bytes());
        bytes.resize(TOKEN_LENGTH, 0);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.strip_prefix(&[VERSION])?;
        let (group, bytes) = bytes.split_first_chunk()?;
        let (issued_at, bytes) = bytes.split_first_chunk()?;
        let (address, bytes) = bytes.split_first_chunk::<16>()?;
        let (port, bytes) = bytes.split_first_chunk()?;
        let (family, bytes) = bytes.split_first()?;
        let (scope, _padding) = bytes.split_first_chunk()?;
        let (address, port) = (Ipv6Addr::from(*address), u16::from_be_bytes(*port));
        let target = match family {
            4 => SocketAddr::new(IpAddr::V4(address.to_ipv4_mapped()?), port),
            6 => std::net::SocketAddrV6::new(address, port, 0, u32::from_be_bytes(*scope)).into(),
            _ => return None,
        };
        Some(Self { group: GroupId(*group), target, issued_at: u64::from_be_bytes(*issued_at) })
    }
}

fn open(keys: &Keys, value: &[u8]) -> Option<Token> {
    if value.len() != VALUE_LENGTH {
        return None;
    }
    let mut sealed = [0; TOKEN_LENGTH + OVERHEAD];
    STANDARD.decode_slice(value, &mut sealed).ok()?;
    Token::decode(&keys.open(CONTEXT, &sealed)?)
}

/// The value that decides: the first AWSALBCORS, else the first AWSALB.
fn find<'a>(cookie_lines: impl Iterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    let mut same_site = None;
    for pair in cookie_lines.flat_map(|line| line.split(|&byte| byte == b';')) {
        let pair = pair.trim_ascii();
        let value = |name: &str| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=");
        if let Some(cross_origin) = value(AWSALBCORS) {
            return Some(cross_origin);
        }
        same_site = same_site.or_else(|| value(AWSALB));
    }
    same_site
}

/// Whole seconds since 1970; 0 before.
fn epoch_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// `Tue, 28 Nov 2023 10:21:43 GMT`. Times that have no four-digit year become 1970.
fn imf_fixdate(time: SystemTime) -> String {
    i64::try_from(epoch_seconds(time))
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
        .format(IMF_FIXDATE)
        .unwrap_or_default()
}

#[expect(clippy::expect_used, reason = "base64, names and dates are a valid header value")]
fn header_value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("a cookie of ours is visible ASCII")
}

#[cfg(test)]
mod tests;

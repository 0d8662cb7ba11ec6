//! What the stickiness cookies share: how they are found in a request, what
//! they carry, and how they are set.

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

/// How long browsers keep the cookies.
pub const EXPIRES_AFTER: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Length of a sealed value, in characters.
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

/// First byte of a token.
const VERSION: u8 = 1;
/// Length of a token: what seals and encodes to exactly [`VALUE_LENGTH`].
const TOKEN_LENGTH: usize = VALUE_LENGTH / 4 * 3 - OVERHEAD;
/// RFC 9110 section 5.6.7.
const IMF_FIXDATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// What a value carries: version (1 byte), group (8), issue time (8), address as IPv6 (16), port (2),
/// address family (1; 0 for a value that names no target), scope (4), zeros up to [`TOKEN_LENGTH`].
/// Numbers are big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    /// The group it was made for, or names.
    pub(super) group: GroupId,
    /// The target it names.
    pub(super) target: Option<SocketAddr>,
    /// Seconds since 1970.
    pub(super) issued_at: u64,
}

impl Token {
    /// A token made at `now`.
    pub(super) fn new(group: GroupId, target: Option<SocketAddr>, now: SystemTime) -> Self {
        Self { group, target, issued_at: epoch_seconds(now) }
    }

    /// Whether it is older than `duration`. A token from the future, by a replica whose clock is
    /// ahead, is new.
    pub(super) fn has_expired(&self, duration: Duration, now: SystemTime) -> bool {
        Duration::from_secs(epoch_seconds(now).saturating_sub(self.issued_at)) > duration
    }

    /// Its sealed value; `context` keeps one kind of cookie from being taken for another.
    pub(super) fn seal(
        &self,
        keys: &Keys,
        context: &[u8],
        nonce: [u8; NONCE_LENGTH],
    ) -> Result<CookieValue, SealError> {
        let sealed = keys.seal(context, &self.encode(), nonce)?;
        Ok(CookieValue(STANDARD.encode(sealed)))
    }

    /// The token in a value that one of the keys sealed in the same context.
    pub(super) fn open(keys: &Keys, context: &[u8], value: &[u8]) -> Option<Self> {
        if value.len() != VALUE_LENGTH {
            return None;
        }
        let mut sealed = [0; TOKEN_LENGTH + OVERHEAD];
        STANDARD.decode_slice(value, &mut sealed).ok()?;
        Self::decode(&keys.open(context, &sealed)?)
    }

    fn encode(&self) -> Vec<u8> {
        let (address, port, family, scope) = match self.target {
            None => (Ipv6Addr::UNSPECIFIED, 0, 0, 0),
            Some(SocketAddr::V4(v4)) => (v4.ip().to_ipv6_mapped(), v4.port(), 4, 0),
            Some(SocketAddr::V6(v6)) => (*v6.ip(), v6.port(), 6, v6.scope_id()),
        };
        let mut bytes = Vec::with_capacity(TOKEN_LENGTH);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.group.0);
        bytes.extend_from_slice(&self.issued_at.to_be_bytes());
        bytes.extend_from_slice(&address.octets());
        bytes.extend_from_slice(&port.to_be_bytes());
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
            0 => None,
            4 => Some(SocketAddr::new(IpAddr::V4(address.to_ipv4_mapped()?), port)),
            6 => Some(std::net::SocketAddrV6::new(address, port, 0, u32::from_be_bytes(*scope)).into()),
            _ => return None,
        };
        Some(Self { group: GroupId(*group), target, issued_at: u64::from_be_bytes(*issued_at) })
    }
}

/// The cookies of a request in order, each as `name=value` without the white space round it.
///
/// `lines` are the values of all Cookie headers (HTTP/2 may split them).
pub(super) fn pairs<'a>(lines: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    lines.flat_map(|line| line.split(|&byte| byte == b';')).map(<[u8]>::trim_ascii)
}

/// The value in `pair` if that is the cookie `name`.
pub(super) fn value_of<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}

/// The value that decides: the first `cross_origin` cookie, else the first `same_site` one.
pub(super) fn find<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
    same_site: &str,
    cross_origin: &str,
) -> Option<&'a [u8]> {
    let mut found = None;
    for pair in pairs(lines) {
        if let Some(decisive) = value_of(pair, cross_origin) {
            return Some(decisive);
        }
        found = found.or_else(|| value_of(pair, same_site));
    }
    found
}

/// Set-Cookie of `same_site` and of `cross_origin`, which is Secure only where the client spoke HTTPS.
pub(super) fn set_cookie_pair(
    (same_site, cross_origin): (&str, &str),
    value: &CookieValue,
    listener: ListenerProtocol,
    now: SystemTime,
) -> [HeaderValue; 2] {
    let value = value.as_str();
    let expires = expires(now);
    let secure = if listener.is_tls() { "; Secure" } else { "" };
    [
        header_value(format!("{same_site}={value}; Expires={expires}; Path=/")),
        header_value(format!("{cross_origin}={value}; Expires={expires}; Path=/; SameSite=None{secure}")),
    ]
}

/// The Expires of a cookie set at `now`.
pub(super) fn expires(now: SystemTime) -> String {
    imf_fixdate(epoch_seconds(now + EXPIRES_AFTER))
}

/// Whole seconds since 1970; 0 before.
#[must_use]
pub fn epoch_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// `Tue, 28 Nov 2023 10:21:43 GMT`. Times that have no four-digit year become 1970.
#[must_use]
pub fn imf_fixdate(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|it| OffsetDateTime::from_unix_timestamp(it).ok());
    time.unwrap_or(OffsetDateTime::UNIX_EPOCH).format(IMF_FIXDATE).unwrap_or_default()
}

#[expect(clippy::expect_used, reason = "base64, names and dates are a valid header value")]
pub(super) fn header_value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("a cookie of ours is visible ASCII")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_comes_back_from_its_value_in_its_context_alone(
            target in any::<Option<(IpAddr, u16)>>(),
            issued_at: u64,
            name: String,
            nonce: [u8; NONCE_LENGTH],
        ) {
            let keys = Keys::new(&[1; 32], &[]);
            let token = Token { group: GroupId::new(&name), target: target.map(SocketAddr::from), issued_at };
            let value = token.seal(&keys, b"AWSALBTG", nonce).unwrap();
            prop_assert_eq!(value.as_str().len(), VALUE_LENGTH);
            prop_assert_eq!(Token::open(&keys, b"AWSALBTG", value.as_str().as_bytes()), Some(token));
            prop_assert_eq!(Token::open(&keys, b"AWSALB", value.as_str().as_bytes()), None);
        }

        #[test]
        fn any_bytes_are_no_token(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[A-Za-z0-9+/]{128}") {
            let keys = Keys::new(&[1; 32], &[]);
            prop_assert_eq!(Token::decode(&bytes).is_some_and(|token| token.encode().len() != TOKEN_LENGTH), false);
            prop_assert_eq!(Token::open(&keys, b"AWSALB", &bytes), None);
            prop_assert_eq!(Token::open(&keys, b"AWSALB", text.as_bytes()), None);
        }

        #[test]
        fn cookies_are_the_same_however_the_header_is_split(
            cookies in prop::collection::vec(("[A-Za-z]{1,8}", "[!-:<-~]{0,12}"), 0..8),
            splits in prop::collection::vec(any::<bool>(), 8),
        ) {
            let mut lines = vec![String::new()];
            for ((name, value), split) in cookies.iter().zip(splits) {
                if split || lines.last().unwrap().is_empty() {
                    lines.push(format!("{name}={value}"));
                } else {
                    lines.last_mut().unwrap().push_str(&format!("; {name}={value}"));
                }
            }
            let found: Vec<_> = pairs(lines.iter().map(String::as_bytes)).filter(|pair| !pair.is_empty()).collect();
            let expected: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            prop_assert_eq!(found, expected.iter().map(String::as_bytes).collect::<Vec<_>>());
        }
    }
}

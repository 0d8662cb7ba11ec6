//! Login sessions, and the cookies that carry them.
//!
//! ELB page: "Authenticate users using an Application Load Balancer",
//! authentication flow. `AWSELBAuthSessionCookie-0`, `-1`, … hold one sealed
//! session, cut where browsers cut cookies: at 4 KB. Which attributes ELB sets
//! is not published in full; here they are Expires (end of the session),
//! Path=/, SameSite=None, Secure and `HttpOnly`.
//!
//! The first character of the first cookie says how many there are, so that a
//! cookie left over from a longer session does no harm.

use std::{fmt, time::Duration};

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use serde::{Deserialize, Serialize};

use super::jwt::Claims;
use crate::{
    model::rule::AuthenticateOidc,
    stickiness::{
        imf_fixdate,
        seal::{Keys, NONCE_LENGTH},
    },
};

/// Claims and access token may have 11 KB together.
pub const MOST_CLAIMS: usize = 11 * 1024;

/// Keeps other sealed values from being taken for sessions.
const CONTEXT: &[u8] = b"AWSELBAuthSessionCookie";
/// Most cookies of one session.
const MOST_SHARDS: usize = 9;
/// Length of a whole cookie with its attributes, in bytes.
const SHARD: usize = 4096;
/// What is left for the attributes.
const ATTRIBUTES: usize = 128;

/// The login that a session or state is of: eight bytes of the SHA-256 of issuer, client and cookie name.
///
/// Rules that share the three share their sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginId([u8; 8]);

impl LoginId {
    /// The id of the logins of `action`.
    #[must_use]
    pub fn of(action: &AuthenticateOidc) -> Self {
        let mut hash = digest::Context::new(&digest::SHA256);
        for part in [&action.issuer, &action.client_id, &action.session_cookie_name] {
            hash.update(part.as_bytes());
            hash.update(&[0]);
        }
        Self(hash.finish().as_ref().first_chunk().copied().unwrap_or_default())
    }

    /// The id itself.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A user who has logged in.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Where.
    pub login: LoginId,
    /// When, in seconds since 1970.
    pub created: u64,
    /// What the identity provider gave for the user's data.
    pub access_token: String,
    /// When that expires, if it says.
    pub expires: Option<u64>,
    /// What a new one can be had for.
    pub refresh_token: Option<String>,
    /// What the identity provider says of the user; `sub` among it.
    pub claims: Claims,
}

impl fmt::Debug for Session {
    /// Without tokens and claims.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("created", &self.created)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// What a request's cookies say.
#[derive(Debug, Clone, PartialEq)]
pub enum Cookie {
    /// There is none.
    Missing,
    /// It was not sealed by any of our keys, was changed on the way, or is incomplete.
    Invalid,
    /// A session, of whatever age and login.
    Session(Session),
}

/// Reads the session cookies called `name` from the values of all Cookie headers.
#[must_use]
pub fn read<'a>(lines: impl Iterator<Item = &'a [u8]>, name: &str, keys: &Keys) -> Cookie {
    let shards = shards(lines, name);
    let Some((Some(first), _)) = shards.split_first() else { return Cookie::Missing };
    if first.is_empty() {
        return Cookie::Missing;
    }
    joined(&shards).and_then(|text| open(&text, keys)).map_or(Cookie::Invalid, Cookie::Session)
}

/// The value of the first cookie called `name`.
#[must_use]
pub fn value<'a>(lines: impl Iterator<Item = &'a [u8]>, name: &str) -> Option<&'a [u8]> {
    pairs(lines).find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

fn pairs<'a>(lines: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    lines.flat_map(|line| line.split(|&byte| byte == b';')).map(<[u8]>::trim_ascii)
}

fn shards<'a>(lines: impl Iterator<Item = &'a [u8]>, name: &str) -> [Option<&'a [u8]>; MOST_SHARDS] {
    let mut shards = [None; MOST_SHARDS];
    for pair in pairs(lines) {
        if let Some(rest) = pair.strip_prefix(name.as_bytes())
            && let [b'-', digit, b'=', value @ ..] = rest
            && let Some(shard) = shards.get_mut(usize::from(digit.wrapping_sub(b'0')))
        {
            shard.get_or_insert(value);
        }
    }
    shards
}

fn joined(shards: &[Option<&[u8]>]) -> Option<Vec<u8>> {
    let (count, _) = shards.first().copied().flatten()?.split_first()?;
    let count = usize::from(count.wrapping_sub(b'0'));
    let mut text = Vec::with_capacity(count.min(MOST_SHARDS) * SHARD);
    for shard in shards.get(..count)? {
        text.extend_from_slice((*shard)?);
    }
    text.get(1..).map(<[u8]>::to_vec)
}

fn open(text: &[u8], keys: &Keys) -> Option<Session> {
    let opened = keys.open(CONTEXT, &STANDARD.decode(text).ok()?)?;
    serde_json::from_slice(&opened).ok()
}

/// The Set-Cookie values that give `session` to the client until `ends`. `nonce` is random.
///
/// `None` if the session is too long for cookies, or the cipher fails.
#[must_use]
pub fn set_cookies(
    session: &Session,
    name: &str,
    keys: &Keys,
    ends: u64,
    nonce: [u8; NONCE_LENGTH],
) -> Option<Vec<HeaderValue>> {
    let sealed = keys.seal(CONTEXT, &serde_json::to_vec(session).ok()?, nonce).ok()?;
    let text = STANDARD.encode(sealed);
    let size = SHARD.saturating_sub(ATTRIBUTES + name.len()).max(SHARD / 4);
    let count = (text.len() + 1).div_ceil(size);
    if count > MOST_SHARDS {
        return None;
    }
    let text = format!("{count}{text}");
    let expires = imf_fixdate(ends);
    let shards = text.as_bytes().chunks(size).enumerate();
    shards.map(|(index, shard)| set_cookie(&format!("{name}-{index}"), shard, &expires)).collect()
}

/// The Set-Cookie values that take a session's cookies away: those that the request has.
#[must_use]
pub fn clear_cookies<'a>(lines: impl Iterator<Item = &'a [u8]>, name: &str) -> Vec<HeaderValue> {
    let shards = shards(lines, name);
    let present = shards.iter().enumerate().filter(|(_, shard)| shard.is_some());
    let expires = imf_fixdate(0);
    present.filter_map(|(index, _)| set_cookie(&format!("{name}-{index}"), b"", &expires)).collect()
}

/// A cookie that scripts cannot read and that only goes over TLS, also from other sites.
#[must_use]
pub fn set_cookie(name: &str, value: &[u8], expires: &str) -> Option<HeaderValue> {
    let mut cookie = Vec::with_capacity(name.len() + value.len() + ATTRIBUTES);
    cookie.extend_from_slice(name.as_bytes());
    cookie.push(b'=');
    cookie.extend_from_slice(value);
    cookie.extend_from_slice(b"; Expires=");
    cookie.extend_from_slice(expires.as_bytes());
    cookie.extend_from_slice(b"; Path=/; SameSite=None; Secure; HttpOnly");
    HeaderValue::try_from(cookie).ok()
}

/// When a session of `action` that began at `created` ends.
#[must_use]
pub fn ends(created: u64, timeout: Duration) -> u64 {
    created.saturating_add(timeout.as_secs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAME: &str = "AWSELBAuthSessionCookie";

    fn session(padding: usize) -> Session {
        let mut claims = Claims::new();
        claims.insert("sub".to_owned(), "user".into());
        Session {
            login: LoginId([7; 8]),
            created: 1_700_000_000,
            access_token: "a".repeat(padding),
            expires: Some(1_700_003_600),
            refresh_token: None,
            claims,
        }
    }

    fn keys() -> Keys {
        Keys::new(&[1; 32], &[])
    }

    /// What a browser sends back.
    fn sent(cookies: &[HeaderValue]) -> String {
        let pairs = cookies.iter().map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap());
        pairs.collect::<Vec<_>>().join("; ")
    }

    fn read_text(text: &str, keys: &Keys) -> Cookie {
        read(std::iter::once(text.as_bytes()), NAME, keys)
    }

    #[test]
    fn a_session_is_cut_at_4_kb_and_put_together_again() {
        for (padding, count) in [(10, 1), (4_000, 2), (11_000, 4)] {
            let session = session(padding);
            let cookies = set_cookies(&session, NAME, &keys(), 0, [3; NONCE_LENGTH]).unwrap();
            assert_eq!(cookies.len(), count, "{padding}");
            assert!(cookies.iter().all(|cookie| cookie.len() <= SHARD), "{padding}");
            let sent = sent(&cookies);
            assert_eq!(read_text(&format!("x=y; {sent}; z"), &keys()), Cookie::Session(session.clone()));
            // HTTP/2 splits them, in any order.
            let lines = sent.rsplit("; ").map(str::as_bytes);
            assert_eq!(read(lines, NAME, &keys()), Cookie::Session(session));
        }
        assert_eq!(set_cookies(&session(40_000), NAME, &keys(), 0, [3; NONCE_LENGTH]), None);
    }

    #[test]
    fn cookies_have_the_attributes_of_a_login() {
        let cookies = set_cookies(&session(1), NAME, &keys(), 1_700_000_000, [3; NONCE_LENGTH]).unwrap();
        let cookie = cookies[0].to_str().unwrap();
        assert!(cookie.starts_with("AWSELBAuthSessionCookie-0=1"), "{cookie}");
        let attributes = "; Expires=Tue, 14 Nov 2023 22:13:20 GMT; Path=/; SameSite=None; Secure; HttpOnly";
        assert!(cookie.ends_with(attributes), "{cookie}");
        let cleared = clear_cookies(std::iter::once(b"a=b; AWSELBAuthSessionCookie-1=x".as_slice()), NAME);
        assert_eq!(cleared.len(), 1);
        let cleared = cleared[0].to_str().unwrap();
        assert!(cleared.starts_with("AWSELBAuthSessionCookie-1=; Expires=Thu, 01 Jan 1970"), "{cleared}");
    }

    #[test]
    fn what_was_not_sealed_here_is_invalid() {
        let cookies = set_cookies(&session(5_000), NAME, &keys(), 0, [3; NONCE_LENGTH]).unwrap();
        let sent = sent(&cookies);
        let invalid = |text: &str| assert_eq!(read_text(text, &keys()), Cookie::Invalid, "{text:.60}");
        assert_eq!(read_text(&sent, &Keys::new(&[2; 32], &[])), Cookie::Invalid);
        invalid(&sent.replacen("aaaa", "aaab", 1).replacen("-0=2", "-0=1", 1));
        let (first, _) = sent.split_once("; ").unwrap();
        invalid(first);
        invalid("AWSELBAuthSessionCookie-0=deleted");
        invalid("AWSELBAuthSessionCookie-0=0");
        invalid("AWSELBAuthSessionCookie-0=9x");
        for missing in ["", "a=b", "AWSELBAuthSessionCookie-0=", "AWSELBAuthSessionCookie=1", "x-0=1"] {
            assert_eq!(read_text(missing, &keys()), Cookie::Missing, "{missing}");
        }
    }

    #[test]
    fn a_value_sealed_for_something_else_is_no_session() {
        let text = serde_json::to_vec(&session(1)).unwrap();
        let sealed = STANDARD.encode(keys().seal(b"AWSALB", &text, [3; NONCE_LENGTH]).unwrap());
        assert_eq!(read_text(&format!("{NAME}-0=1{sealed}"), &keys()), Cookie::Invalid);
    }

    #[test]
    fn tokens_are_not_in_debug_output() {
        let mut session = session(1);
        session.access_token = "hunter2".to_owned();
        assert!(!format!("{session:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn no_cookie_makes_it_panic(lines in prop::collection::vec("(n-[0-9a;=]{0,20}|\\PC{0,20}){0,4}", 0..4)) {
            drop(read(lines.iter().map(String::as_bytes), "n", &keys()));
            drop(clear_cookies(lines.iter().map(String::as_bytes), "n"));
        }
    }
}

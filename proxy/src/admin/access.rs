//! Who may act through the admin API, and who may read. Pure.
//!
//! With a token, whoever sends it as `Authorization: Bearer …`, from wherever;
//! loopback clients need it too. Without one, loopback clients of an API that
//! listens on loopback. A web page must not be able to act through a visitor's
//! browser, so every action needs `Content-Type: application/json`, which pages
//! of other origins cannot send without being asked about it first; and without
//! a token the Host must be `localhost` or an IP address, which no name under an
//! attacker's control can be, and an Origin must be that of the Host.
//!
//! Reading needs no token. What listens on loopback is not for the pages that a
//! visitor's browser shows either, and there the Host must be such a one, too: a
//! page whose name leads to loopback all of a sudden (DNS rebinding) would read
//! paths, query strings and addresses of clients.

use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::{constant_time, digest};
use http::{HeaderMap, HeaderName, header};

/// A bearer token; only its digest is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Box<[u8]>);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// The token with this text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(digest::digest(&digest::SHA256, text.as_bytes()).as_ref().into())
    }

    /// Whether `candidate` is the token, in a time that says nothing about where they differ.
    fn is(&self, candidate: &[u8]) -> bool {
        let candidate = digest::digest(&digest::SHA256, candidate);
        constant_time::verify_slices_are_equal(&self.0, candidate.as_ref()).is_ok()
    }
}

/// Both ends of a connection to the admin API.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    /// The TCP peer.
    pub(super) client: SocketAddr,
    /// Where the admin API listens.
    pub(super) bind: SocketAddr,
}

/// Why an action is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Denied {
    /// There is a token, and the request has none.
    #[error("actions need the header Authorization: Bearer with the admin token")]
    TokenMissing,
    /// It has another one.
    #[error("the bearer token is wrong")]
    TokenWrong,
    /// There is no token, and the API is open to others than this machine.
    #[error("the admin API does not listen on loopback: actions need admin.token or admin.token_file")]
    NotOnLoopback,
    /// There is no token, and the client is another machine.
    #[error("without admin.token or admin.token_file only loopback clients may act")]
    NotFromLoopback,
    /// The Host is a name that could be anybody's.
    #[error("the Host must be localhost or an IP address")]
    ForeignHost,
    /// A page of another origin asks.
    #[error("the Origin must be that of the Host")]
    ForeignOrigin,
    /// The request is one that any web page can send.
    #[error("actions need the header Content-Type: application/json")]
    ContentType,
}

/// Whether a request with these headers may act.
pub(super) fn check(headers: &HeaderMap, caller: Caller, token: Option<&Token>) -> Result<(), Denied> {
    match token {
        Some(token) => {
            let authorization = only(headers, &header::AUTHORIZATION).ok_or(Denied::TokenMissing)?;
            let candidate = bearer(authorization).ok_or(Denied::TokenMissing)?;
            if !token.is(candidate) {
                return Err(Denied::TokenWrong);
            }
        }
        None => check_tokenless(headers, caller)?,
    }
    let content_type = only(headers, &header::CONTENT_TYPE).ok_or(Denied::ContentType)?;
    let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    if !media_type.trim_ascii().eq_ignore_ascii_case(b"application/json") {
        return Err(Denied::ContentType);
    }
    Ok(())
}

/// Whether a request with these headers may read. Names of an API that others reach are not known here; who sends
/// no Host is no browser.
pub(super) fn check_reading(headers: &HeaderMap, caller: Caller) -> Result<(), Denied> {
    if !is_loopback(caller.bind) || !headers.contains_key(header::HOST) {
        return Ok(());
    }
    own_host(headers).map(drop)
}

fn check_tokenless(headers: &HeaderMap, caller: Caller) -> Result<(), Denied> {
    if !is_loopback(caller.bind) {
        return Err(Denied::NotOnLoopback);
    }
    if !is_loopback(caller.client) {
        return Err(Denied::NotFromLoopback);
    }
    let host = own_host(headers)?;
    if headers.contains_key(header::ORIGIN) {
        let origin = only(headers, &header::ORIGIN).and_then(|origin| origin.strip_prefix(b"http://"));
        if !origin.is_some_and(|origin| origin.eq_ignore_ascii_case(host.as_bytes())) {
            return Err(Denied::ForeignOrigin);
        }
    }
    Ok(())
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// The Host, which names no one but this machine.
fn own_host(headers: &HeaderMap) -> Result<&str, Denied> {
    let host = only(headers, &header::HOST).and_then(|host| std::str::from_utf8(host).ok());
    host.filter(|host| is_own(host)).ok_or(Denied::ForeignHost)
}

/// Whether a Host header names no one but this machine: `localhost` or an IP address, with or without a port.
fn is_own(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port),
        _ => (host, ""),
    };
    let literal = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_address = literal.map_or_else(
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4()),
        |ip| ip.parse::<IpAddr>().is_ok(),
    );
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    is_port && (is_address || name.eq_ignore_ascii_case("localhost"))
}

/// The value of a header that must be there once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h [u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value.as_bytes())
}

fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = authorization.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const LOOPBACK: &str = "127.0.0.1:9901";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = [("content-type", "application/json")].iter().chain(pairs);
        pairs.map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[track_caller]
    fn check_from(
        client: &str,
        bind: &str,
        pairs: &[(&'static str, &str)],
        token: Option<&str>,
    ) -> Result<(), Denied> {
        let caller = Caller { client: client.parse().unwrap(), bind: bind.parse().unwrap() };
        check(&headers(pairs), caller, token.map(Token::new).as_ref())
    }

    #[test]
    fn without_a_token_loopback_clients_of_a_loopback_api_may_act() {
        let host = [("host", "localhost:9901")];
        assert_eq!(check_from("127.0.0.1:5", LOOPBACK, &host, None), Ok(()));
        assert_eq!(check_from("[::1]:5", "[::1]:9901", &host, None), Ok(()));
        assert_eq!(check_from("10.0.0.1:5", LOOPBACK, &host, None), Err(Denied::NotFromLoopback));
        assert_eq!(check_from("127.0.0.1:5", "0.0.0.0:9901", &host, None), Err(Denied::NotOnLoopback));
        assert_eq!(check_from("127.0.0.1:5", "[::]:9901", &host, None), Err(Denied::NotOnLoopback));
    }

    #[test]
    fn with_a_token_it_alone_decides() {
        let with = |authorization| [("host", "admin.example"), ("authorization", authorization)];
        for client in ["127.0.0.1:5", "10.0.0.1:5"] {
            for bind in [LOOPBACK, "0.0.0.0:9901"] {
                let check = |pairs: &[_]| check_from(client, bind, pairs, Some("secret"));
                assert_eq!(check(&with("Bearer secret")), Ok(()));
                assert_eq!(check(&with("bearer  secret ")), Ok(()));
                assert_eq!(check(&with("Bearer Secret")), Err(Denied::TokenWrong));
                assert_eq!(check(&with("Bearer secret2")), Err(Denied::TokenWrong));
                assert_eq!(check(&with("Bearer")), Err(Denied::TokenMissing));
                assert_eq!(check(&with("Basic secret")), Err(Denied::TokenMissing));
                assert_eq!(check(&[("host", "localhost")]), Err(Denied::TokenMissing));
            }
        }
        let twice = [("authorization", "Bearer secret"), ("authorization", "Bearer x")];
        assert_eq!(check_from("127.0.0.1:5", LOOPBACK, &twice, Some("secret")), Err(Denied::TokenMissing));
    }

    #[test]
    fn a_browser_led_here_by_another_page_is_refused() {
        let check = |pairs: &[_]| check_from("127.0.0.1:5", LOOPBACK, pairs, None);
        for own in ["localhost", "LOCALHOST:1", "127.0.0.1", "10.1.2.3:9901", "[::1]", "[::1]:9901"] {
            assert_eq!(check(&[("host", own)]), Ok(()), "{own}");
        }
        for foreign in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            "::1",
            "[::1",
            "localhost:x",
            "1.2.3",
        ] {
            assert_eq!(check(&[("host", foreign)]), Err(Denied::ForeignHost), "{foreign}");
        }
        assert_eq!(check(&[("host", "localhost"), ("host", "localhost")]), Err(Denied::ForeignHost));
        assert_eq!(check(&[]), Err(Denied::ForeignHost));
        let origin = |origin| check(&[("host", "localhost:9901"), ("origin", origin)]);
        assert_eq!(origin("http://localhost:9901"), Ok(()));
        for foreign in ["http://evil.example", "null", "http://localhost", "https://localhost:9901"] {
            assert_eq!(origin(foreign), Err(Denied::ForeignOrigin), "{foreign}");
        }
    }

    #[test]
    fn a_page_whose_name_leads_to_loopback_reads_nothing() {
        let check = |bind: &str, hosts: &[&str]| {
            let caller = Caller { client: "127.0.0.1:5".parse().unwrap(), bind: bind.parse().unwrap() };
            let hosts = hosts.iter().map(|host| (header::HOST, host.parse().unwrap()));
            check_reading(&hosts.collect(), caller)
        };
        for own in ["localhost:9901", "127.0.0.1:9901", "[::1]:9901"] {
            assert_eq!(check(LOOPBACK, &[own]), Ok(()), "{own}");
        }
        assert_eq!(check(LOOPBACK, &[]), Ok(()));
        assert_eq!(check(LOOPBACK, &["evil.example:9901"]), Err(Denied::ForeignHost));
        assert_eq!(check("[::1]:9901", &["evil.example:9901"]), Err(Denied::ForeignHost));
        assert_eq!(check(LOOPBACK, &["localhost", "evil.example"]), Err(Denied::ForeignHost));
        assert_eq!(check("0.0.0.0:9901", &["balancer:9901"]), Ok(()));
    }

    #[test]
    fn what_any_page_can_send_is_refused() {
        let caller = Caller { client: "127.0.0.1:5".parse().unwrap(), bind: LOOPBACK.parse().unwrap() };
        let check_type = |content_type: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("localhost"));
            if let Some(content_type) = content_type {
                headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
            }
            check(&headers, caller, None)
        };
        assert_eq!(check_type(Some("Application/JSON; charset=utf-8")), Ok(()));
        for simple in
            [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonp")]
        {
            assert_eq!(check_type(simple), Err(Denied::ContentType), "{simple:?}");
        }
    }

    proptest! {
        #[test]
        fn any_header_bytes_are_judged(host: Vec<u8>, authorization: Vec<u8>, origin: Vec<u8>) {
            let mut headers = HeaderMap::new();
            for (name, value) in [(header::HOST, host), (header::AUTHORIZATION, authorization), (header::ORIGIN, origin)] {
                if let Ok(value) = HeaderValue::from_bytes(&value) {
                    headers.insert(name, value);
                }
            }
            let caller = Caller { client: "127.0.0.1:5".parse().unwrap(), bind: LOOPBACK.parse().unwrap() };
            prop_assert!(check(&headers, caller, None).is_err());
            prop_assert!(check(&headers, caller, Some(&Token::new("a token that is not drawn"))).is_err());
        }
    }
}

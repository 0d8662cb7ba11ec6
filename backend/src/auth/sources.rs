//! Where a client's token is looked for.

use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE};

use super::Token;

/// Where a handshake may carry a token, besides its `Authorization` header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// The name of a cookie.
    pub cookie: Option<String>,
    /// The name of a query parameter.
    pub query_parameter: Option<String>,
}

impl Sources {
    /// The token of a handshake: in `Authorization`, else in the cookie, else in
    /// the query.
    #[must_use]
    pub fn of_handshake(&self, headers: &HeaderMap, query: Option<&str>) -> Option<Token> {
        let text = |value: &http::HeaderValue| value.to_str().map(str::to_owned).ok();
        headers
            .get(AUTHORIZATION)
            .and_then(text)
            .and_then(|value| bearer(&value))
            .or_else(|| cookie(headers, self.cookie.as_deref()?))
            .or_else(|| parameter(query?, self.query_parameter.as_deref()?))
    }
}

/// The token that a STOMP frame brings: in `Authorization`, else in `token`.
#[must_use]
pub fn of_frame<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> Option<Token> {
    let [authorization, token] = first(headers, ["authorization", "token"]);
    authorization.and_then(bearer).or_else(|| Token::new(token?))
}

/// The token of a CONNECT frame: as of any frame, else in `passcode`.
#[must_use]
pub fn of_connect<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> Option<Token> {
    let [authorization, token, passcode] = first(headers, ["authorization", "token", "passcode"]);
    authorization.and_then(bearer).or_else(|| Token::new(token.or(passcode)?))
}

/// The first header of each name, in whatever case it is written.
fn first<'a, const N: usize>(
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    names: [&str; N],
) -> [Option<&'a str>; N] {
    let mut found = [None; N];
    for (name, value) in headers {
        let place = names.iter().zip(&mut found).find(|(known, _)| known.eq_ignore_ascii_case(name));
        if let Some((_, first)) = place {
            first.get_or_insert(value.trim());
        }
    }
    found
}

/// The token of `Bearer …`, or of a value without a scheme. Other schemes are
/// for others.
fn bearer(value: &str) -> Option<Token> {
    let value = value.trim();
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Token::new(token.trim()),
        Some(_) => None,
        None if value.eq_ignore_ascii_case("bearer") => None,
        None => Token::new(value),
    }
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<Token> {
    let lines = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(found, _)| found.trim() == name)?;
    Token::new(value.trim().trim_matches('"'))
}

/// The value as it stands: tokens have no character that would be escaped.
fn parameter(query: &str, name: &str) -> Option<Token> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(found, _)| *found == name)?;
    Token::new(value)
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    #[track_caller]
    fn handshake(headers: &[(&'static str, &str)], query: Option<&str>, expected: Option<&str>) {
        let sources = Sources {
            cookie: Some("access_token".to_owned()),
            query_parameter: Some("access_token".to_owned()),
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        let found = sources.of_handshake(&map, query);
        assert_eq!(found.as_ref().map(Token::secret), expected);
    }

    #[test]
    fn the_header_counts_more_than_the_cookie_and_that_more_than_the_query() {
        let header = ("authorization", "Bearer h");
        let cookie = ("cookie", "a=1; access_token=c; b=2");
        handshake(&[header, cookie], Some("access_token=q"), Some("h"));
        handshake(&[cookie], Some("access_token=q"), Some("c"));
        handshake(&[], Some("a=b&access_token=q"), Some("q"));
        handshake(&[], Some("access_token="), None);
        handshake(&[], None, None);
    }

    #[test]
    fn only_bearer_is_a_token() {
        handshake(&[("authorization", "bearer  h")], None, Some("h"));
        handshake(&[("authorization", "h")], None, Some("h"));
        handshake(&[("authorization", "Basic YTpi"), ("cookie", "access_token=\"c\"")], None, Some("c"));
        handshake(&[("authorization", "Basic YTpi")], None, None);
        handshake(&[("authorization", "Bearer ")], None, None);
    }

    #[test]
    fn without_names_only_the_header_counts() {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, http::HeaderValue::from_static("access_token=c"));
        assert_eq!(Sources::default().of_handshake(&headers, Some("access_token=q")), None);
    }

    #[track_caller]
    fn frame(headers: &[(&str, &str)], of_frame_expected: Option<&str>, of_connect_expected: Option<&str>) {
        let headers = || headers.iter().copied();
        assert_eq!(of_frame(headers()).as_ref().map(Token::secret), of_frame_expected);
        assert_eq!(of_connect(headers()).as_ref().map(Token::secret), of_connect_expected);
    }

    #[test]
    fn a_frame_brings_it_in_authorization_or_token_and_connect_in_passcode_too() {
        frame(&[("token", "t"), ("Authorization", "Bearer a"), ("passcode", "p")], Some("a"), Some("a"));
        frame(&[("token", "t"), ("passcode", "p")], Some("t"), Some("t"));
        frame(&[("login", "guest"), ("passcode", "p")], None, Some("p"));
        frame(&[("authorization", "Basic x y"), ("destination", "/app/a")], None, None);
    }

    #[test]
    fn a_token_is_never_printed() {
        assert_eq!(format!("{:?}", Token::new("secret")), "Some(Token(…))");
    }
}

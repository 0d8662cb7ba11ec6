//! The `Location` of a redirect action.
//!
//! ELB page: "Action types for listener rules", redirect actions. Placeholders
//! `#{protocol}`, `#{host}`, `#{port}`, `#{path}` and `#{query}` take the
//! request's values; the port is always written, also the protocol's default.

use thiserror::Error;

use super::without_port;
use crate::model::rule::Redirect;

/// Longest `Location` that is sent, in bytes (8 KB); a longer one is answered with 507.
pub const MAX_LOCATION: usize = 8 * 1024;

/// The request's parts that placeholders stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestParts<'a> {
    /// `http` or `https`, as the client spoke.
    pub protocol: &'a str,
    /// Host header; a port in it is ignored.
    pub host: &'a str,
    /// The listener's port.
    pub port: u16,
    /// Path with its leading slash, as received.
    pub path: &'a str,
    /// Query without the question mark; empty if there is none.
    pub query: &'a str,
}

/// The `Location` would exceed [`MAX_LOCATION`]; the client gets 507.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("redirect location of {length} bytes exceeds {MAX_LOCATION}")]
pub struct LocationTooLong {
    /// Its length in bytes.
    pub length: usize,
}

/// The `Location` header's value: `protocol://host:port/path?query`.
///
/// # Errors
///
/// [`LocationTooLong`] above 8 KB.
pub fn location(redirect: &Redirect, request: &RequestParts<'_>) -> Result<String, LocationTooLong> {
    let port = request.port.to_string();
    let values = [
        ("#{protocol}", request.protocol),
        ("#{host}", without_port(request.host)),
        ("#{port}", port.as_str()),
        ("#{path}", request.path.strip_prefix('/').unwrap_or(request.path)),
        ("#{query}", request.query),
    ];
    let mut out = String::with_capacity(request.path.len() + request.query.len() + 64);
    expand(&mut out, &redirect.protocol, &values);
    out.make_ascii_lowercase();
    out.push_str("://");
    expand(&mut out, &redirect.host, &values);
    out.push(':');
    expand(&mut out, &redirect.port, &values);
    expand(&mut out, &redirect.path, &values);
    let before_query = out.len();
    out.push('?');
    expand(&mut out, &redirect.query, &values);
    if out.len() == before_query + 1 {
        out.truncate(before_query);
    }
    if out.len() > MAX_LOCATION { Err(LocationTooLong { length: out.len() }) } else { Ok(out) }
}

/// Appends `field` with its placeholders replaced, once: what a request brings is not expanded again.
fn expand(out: &mut String, field: &str, values: &[(&str, &str)]) {
    let mut rest = field;
    while let Some(start) = rest.find("#{") {
        let (before, tail) = rest.split_at(start);
        out.push_str(before);
        rest = match values.iter().find_map(|(name, value)| Some((value, tail.strip_prefix(name)?))) {
            Some((value, after)) => {
                out.push_str(value);
                after
            }
            None => {
                out.push_str("#{");
                tail.strip_prefix("#{").unwrap_or_default()
            }
        };
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use proptest::prelude::*;

    use super::*;

    fn redirect() -> Redirect {
        Redirect {
            protocol: "#{protocol}".to_owned(),
            host: "#{host}".to_owned(),
            port: "#{port}".to_owned(),
            path: "/#{path}".to_owned(),
            query: "#{query}".to_owned(),
            status: StatusCode::MOVED_PERMANENTLY,
        }
    }

    const REQUEST: RequestParts<'_> =
        RequestParts { protocol: "http", host: "Example.com:8080", port: 8080, path: "/a/b", query: "x=1" };

    #[track_caller]
    fn check(redirect: &Redirect, request: &RequestParts<'_>, expected: &str) {
        assert_eq!(location(redirect, request).as_deref(), Ok(expected));
    }

    #[test]
    fn the_defaults_repeat_the_request() {
        check(&redirect(), &REQUEST, "http://Example.com:8080/a/b?x=1");
    }

    #[test]
    fn the_port_is_written_even_if_it_is_the_default() {
        let https = Redirect { protocol: "HTTPS".to_owned(), port: "443".to_owned(), ..redirect() };
        check(&https, &REQUEST, "https://Example.com:443/a/b?x=1");
    }

    #[test]
    fn an_empty_query_leaves_no_question_mark() {
        check(&redirect(), &RequestParts { query: "", ..REQUEST }, "http://Example.com:8080/a/b");
        check(&Redirect { query: String::new(), ..redirect() }, &REQUEST, "http://Example.com:8080/a/b");
    }

    #[test]
    fn placeholders_stand_anywhere_in_a_field() {
        let moved = Redirect {
            host: "www.#{host}".to_owned(),
            path: "/old/#{host}/#{path}/#{port}".to_owned(),
            query: "from=#{path}&#{query}".to_owned(),
            ..redirect()
        };
        check(&moved, &REQUEST, "http://www.Example.com:8080/old/Example.com/a/b/8080?from=a/b&x=1");
    }

    #[test]
    fn the_request_cannot_bring_placeholders_and_unknown_ones_stay() {
        let request = RequestParts { path: "/#{host}", ..REQUEST };
        check(&redirect(), &request, "http://Example.com:8080/#{host}?x=1");
        let odd = Redirect { path: "/#{other}#{".to_owned(), ..redirect() };
        check(&odd, &REQUEST, "http://Example.com:8080/#{other}#{?x=1");
    }

    #[test]
    fn an_ipv6_literal_keeps_its_brackets() {
        let request = RequestParts { host: "[::1]:8080", ..REQUEST };
        check(&redirect(), &request, "http://[::1]:8080/a/b?x=1");
    }

    #[test]
    fn a_location_above_eight_kilobytes_is_refused() {
        let fixed = "http://Example.com:8080/?x=1".len();
        let path = format!("/{}", "p".repeat(MAX_LOCATION - fixed));
        let longest = location(&redirect(), &RequestParts { path: &path, ..REQUEST });
        assert_eq!(longest.map(|text| text.len()), Ok(MAX_LOCATION));
        let path = format!("{path}p");
        let too_long = location(&redirect(), &RequestParts { path: &path, ..REQUEST });
        assert_eq!(too_long, Err(LocationTooLong { length: MAX_LOCATION + 1 }));
    }

    proptest! {
        #[test]
        fn a_location_is_bounded_and_no_template_makes_it_panic(
            host in "[a#{}]{0,12}|#\\{host\\}", path in "[a#{}/\\PC]{0,12}|/#\\{path\\}", query in "\\PC{0,12}",
            given_host in "\\PC{0,20}", given in "/\\PC{0,20}", times in 1_usize..2_000,
        ) {
            let redirect = Redirect { host, path, query, ..redirect() };
            let path = given.repeat(times);
            let request = RequestParts { host: &given_host, path: &path, ..REQUEST };
            match location(&redirect, &request) {
                Ok(text) => prop_assert!(text.len() <= MAX_LOCATION && text.starts_with("http://")),
                Err(LocationTooLong { length }) => prop_assert!(length > MAX_LOCATION),
            }
        }
    }
}

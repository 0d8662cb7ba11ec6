//! Which web pages may open a WebSocket (RFC 6454, RFC 6455 section 10.2).
//!
//! A request without Origin comes from no browser and is allowed. Otherwise the
//! origin must be in the list, or name the host that the request names. The
//! scheme is not compared: behind a balancer that terminates TLS without
//! telling, the server sees http where the page has https.

use http::Uri;

/// Scheme, host and port, normalised.
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("://")?;
        if rest.contains(['/', '?', '#', '@']) {
            return None;
        }
        let uri: Uri = text.parse().ok()?;
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let default = default_port(&scheme);
        Some(Self { host: uri.host()?.to_ascii_lowercase(), port: uri.port_u16().or(default), scheme })
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// Whether the text is an origin: scheme, host and perhaps a port.
#[must_use]
pub fn is_origin(text: &str) -> bool {
    Origin::parse(text).is_some()
}

/// Whether a page of `origin` may open a WebSocket on the server that it calls
/// `host`.
#[must_use]
pub fn is_allowed(origin: Option<&str>, host: Option<&str>, allowed: &[String]) -> bool {
    let Some(origin) = origin else { return true };
    // `null`, a sandboxed or local page, is no origin and thus refused.
    let Some(origin) = Origin::parse(origin) else {
        return false;
    };
    if allowed.iter().any(|entry| Origin::parse(entry).as_ref() == Some(&origin)) {
        return true;
    }
    let Some(authority) = host.and_then(|host| host.parse::<http::uri::Authority>().ok()) else {
        return false;
    };
    // A host without a port means the default one, of whichever scheme.
    let port = authority.port_u16().or_else(|| default_port(&origin.scheme));
    authority.host().eq_ignore_ascii_case(&origin.host) && port == origin.port
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(origin: &str, host: &str, expected: bool) {
        let allowed = ["https://app.example.com".to_owned()];
        assert_eq!(is_allowed(Some(origin), Some(host), &allowed), expected);
    }

    #[test]
    fn same_host_and_port_is_allowed_whatever_the_scheme() {
        check("http://localhost:9001", "localhost:9001", true);
        check("https://localhost:8443", "localhost:8443", true);
        check("https://EXAMPLE.com", "example.com", true);
        check("https://example.com", "example.com:443", true);
        check("http://[::1]:9001", "[::1]:9001", true);
    }

    #[test]
    fn others_are_refused_unless_listed() {
        check("https://app.example.com", "api.example.com", true);
        check("https://app.example.com:443", "api.example.com", true);
        check("http://app.example.com", "api.example.com", false);
        check("https://evil.example", "example.com", false);
        check("http://localhost:9002", "localhost:9001", false);
        check("null", "example.com", false);
        check("https://example.com@evil.example", "example.com", false);
    }

    #[test]
    fn a_missing_origin_is_allowed() {
        assert!(is_allowed(None, Some("example.com"), &[]));
    }
}

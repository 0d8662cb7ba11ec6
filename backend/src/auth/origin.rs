//! Which web pages may open a session (RFC 6454, RFC 6455 section 10.2), and
//! what CORS tells them.
//!
//! A page of the server's own host is always allowed, whatever its scheme:
//! behind a balancer that terminates TLS without telling, the server sees http
//! where the page has https. Every other origin must be in the list, with
//! scheme, host and port, or match a pattern of it. A request without Origin
//! comes from no browser, `null` from a sandboxed or local page; a policy says
//! what becomes of each.

use http::Uri;

/// What becomes of a request that names no origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// It is served.
    Allow,
    /// It is answered 403.
    Deny,
}

/// Why a page may not open a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// It is of an origin that is not allowed.
    #[error("origin not allowed")]
    Foreign,
    /// Its origin is `null`.
    #[error("origin null not allowed")]
    Null,
    /// There is no Origin header.
    #[error("an Origin header is required")]
    Missing,
}

impl OriginError {
    /// The value of the metric's label.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Foreign => "foreign",
            Self::Null => "null",
            Self::Missing => "missing",
        }
    }
}

/// Scheme, host and port, normalised.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("://")?;
        if rest.contains(['/', '?', '#', '@', '*']) {
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

/// Some origins.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    /// `*`: all of them.
    Any,
    /// One.
    Exact(Origin),
    /// `https://*.example.com`: those of hosts below a domain, or with any port.
    Pattern {
        scheme: String,
        /// The host, or with its dot the domain that it ends with.
        host: String,
        /// None: any.
        port: Option<u16>,
    },
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        if let Some(origin) = Origin::parse(text) {
            return Some(Self::Exact(origin));
        }
        // A pattern is an origin once its stars are something.
        let any_port = text.strip_suffix(":*").or_else(|| text.strip_suffix(":[*]"));
        let (scheme, host) = any_port.unwrap_or(text).split_once("://")?;
        let domain = host.strip_prefix("*.");
        let origin = Origin::parse(&format!("{scheme}://{}", domain.unwrap_or(host)))?;
        let host = if domain.is_some() { format!(".{}", origin.host) } else { origin.host };
        let port = if any_port.is_some() { None } else { origin.port };
        Some(Self::Pattern { scheme: origin.scheme, host, port })
    }

    fn holds(&self, origin: &Origin) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => exact == origin,
            Self::Pattern { scheme, host, port } => {
                let is_below = || origin.host.strip_suffix(host).is_some_and(|label| !label.is_empty());
                *scheme == origin.scheme
                    && (if host.starts_with('.') { is_below() } else { *host == origin.host })
                    && (port.is_none() || *port == origin.port)
            }
        }
    }
}

/// Whether the text is an origin, a pattern of origins, or `*`.
#[must_use]
pub fn is_origin(text: &str) -> bool {
    Entry::parse(text).is_some()
}

/// The pages that may open a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origins {
    entries: Vec<Entry>,
    null: Policy,
    missing: Policy,
}

impl Origins {
    /// The origins of a list, besides the server's own. Entries that are none
    /// are skipped.
    #[must_use]
    pub fn new(allowed: &[String], null: Policy, missing: Policy) -> Self {
        Self { entries: allowed.iter().filter_map(|text| Entry::parse(text)).collect(), null, missing }
    }

    /// Whether a page of `origin` may open a session on the server that it calls
    /// `host`. Returns what CORS answers in `Access-Control-Allow-Origin`, with
    /// credentials: the origin itself, or nothing where there is none.
    ///
    /// # Errors
    ///
    /// The page may not.
    pub fn check<'a>(
        &self,
        origin: Option<&'a str>,
        host: Option<&str>,
    ) -> Result<Option<&'a str>, OriginError> {
        let allowed = |policy, echo, error| match policy {
            Policy::Allow => Ok(echo),
            Policy::Deny => Err(error),
        };
        let Some(text) = origin else {
            return allowed(self.missing, None, OriginError::Missing);
        };
        if text == "null" {
            return allowed(self.null, origin, OriginError::Null);
        }
        let page = Origin::parse(text).ok_or(OriginError::Foreign)?;
        if is_own(&page, host) || self.entries.iter().any(|entry| entry.holds(&page)) {
            Ok(origin)
        } else {
            Err(OriginError::Foreign)
        }
    }
}

fn is_own(page: &Origin, host: Option<&str>) -> bool {
    let Some(authority) = host.and_then(|host| host.parse::<http::uri::Authority>().ok()) else {
        return false;
    };
    // A host without a port means the default one, of whichever scheme.
    let port = authority.port_u16().or_else(|| default_port(&page.scheme));
    authority.host().eq_ignore_ascii_case(&page.host) && port == page.port
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(allowed: &[&str], origin: &str, host: &str, expected: bool) {
        let allowed: Vec<_> = allowed.iter().map(|&text| text.to_owned()).collect();
        let origins = Origins::new(&allowed, Policy::Deny, Policy::Deny);
        let echo = origins.check(Some(origin), Some(host));
        let expected = if expected { Ok(Some(origin)) } else { Err(OriginError::Foreign) };
        assert_eq!(echo, expected, "{origin} at {host}");
    }

    #[test]
    fn same_host_and_port_is_allowed_whatever_the_scheme() {
        check(&[], "http://localhost:9001", "localhost:9001", true);
        check(&[], "https://localhost:8443", "localhost:8443", true);
        check(&[], "https://EXAMPLE.com", "example.com", true);
        check(&[], "https://example.com", "example.com:443", true);
        check(&[], "http://[::1]:9001", "[::1]:9001", true);
        check(&[], "http://localhost:9002", "localhost:9001", false);
    }

    #[test]
    fn others_are_refused_unless_listed_with_scheme_host_and_port() {
        let list = ["https://app.example.com"];
        check(&list, "https://app.example.com", "api.example.com", true);
        check(&list, "https://app.example.com:443", "api.example.com", true);
        check(&list, "https://app.example.com:8443", "api.example.com", false);
        check(&list, "http://app.example.com", "api.example.com", false);
        check(&list, "https://evil.example", "example.com", false);
        check(&list, "https://example.com@evil.example", "example.com", false);
        check(&list, "https://*", "example.com", false);
        check(&["*"], "https://evil.example", "example.com", true);
    }

    #[test]
    fn a_pattern_stands_for_hosts_below_a_domain_or_for_ports() {
        let below = ["https://*.example.com"];
        check(&below, "https://app.example.com", "a", true);
        check(&below, "https://a.b.example.com", "a", true);
        check(&below, "https://example.com", "a", false);
        check(&below, "https://evilexample.com", "a", false);
        check(&below, "https://app.example.com.evil.example", "a", false);
        check(&below, "http://app.example.com", "a", false);
        check(&below, "https://app.example.com:8443", "a", false);
        for any_port in ["http://localhost:*", "http://localhost:[*]"] {
            check(&[any_port], "http://localhost:3000", "a", true);
            check(&[any_port], "http://localhost", "a", true);
            check(&[any_port], "http://other:3000", "a", false);
        }
        check(&["https://*.example.com:*"], "https://app.example.com:8443", "a", true);
    }

    #[test]
    fn null_and_a_missing_origin_follow_their_policy() {
        for (policy, null, missing) in [
            (Policy::Allow, Ok(Some("null")), Ok(None)),
            (Policy::Deny, Err(OriginError::Null), Err(OriginError::Missing)),
        ] {
            let origins = Origins::new(&["*".to_owned()], policy, policy);
            assert_eq!(origins.check(Some("null"), Some("a")), null);
            assert_eq!(origins.check(None, Some("a")), missing);
        }
    }

    #[test]
    fn what_is_no_origin_is_told() {
        for text in ["example.com", "https://", "https://a/b", "https://a*b.com", "https://*.*.com", "**", ""]
        {
            assert!(!is_origin(text), "{text}");
        }
        for text in ["*", "https://*.example.com", "http://localhost:*", "https://a:8443"] {
            assert!(is_origin(text), "{text}");
        }
    }
}

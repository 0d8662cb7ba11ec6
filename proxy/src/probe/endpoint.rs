//! What is measured: the address of a target or of a balancer.

use std::{fmt, str::FromStr};

use http::Uri;

/// How the endpoint is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP/1.1.
    Http,
    /// HTTP/1.1 over TLS.
    Https,
    /// A WebSocket.
    Ws,
    /// A WebSocket over TLS.
    Wss,
}

impl Scheme {
    const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// Whether TLS is spoken.
    #[must_use]
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Wss)
    }

    /// Whether a WebSocket is opened there.
    #[must_use]
    pub const fn is_web_socket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }
}

/// A target or balancer to measure, read from `http://host:port/path` and its `https`, `ws` and `wss` kin.
///
/// The port defaults to 80 and, over TLS, to 443; the path to `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// Name or address, an IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path and query.
    pub path: String,
}

/// An address that cannot be measured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// Not an address at all.
    #[error("{0:?} is not an address such as http://127.0.0.1:8080/")]
    NotAnAddress(String),
    /// A scheme that is not measured.
    #[error("{0:?} begins with none of http://, https://, ws:// and wss://")]
    UnknownScheme(String),
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || InvalidEndpoint::NotAnAddress(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| malformed())?;
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            Some("ws") => Scheme::Ws,
            Some("wss") => Scheme::Wss,
            _ => return Err(InvalidEndpoint::UnknownScheme(text.to_owned())),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(malformed)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let default_port = if scheme.is_tls() { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(default_port);
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { scheme, host, port, path })
    }
}

impl Endpoint {
    /// Host and port, as the `Host` header has them.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme.name(), self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let read = text.parse::<Endpoint>().map_or_else(|error| error.to_string(), |read| read.to_string());
        assert_eq!(read, expected);
    }

    #[test]
    fn an_address_has_a_port_and_a_path() {
        check("http://a.example", "http://a.example:80/");
        check("https://a.example/x?y=1", "https://a.example:443/x?y=1");
        check("ws://127.0.0.1:8080/ws", "ws://127.0.0.1:8080/ws");
        check("wss://[::1]/ws", "wss://[::1]:443/ws");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        check("ftp://a/", r#""ftp://a/" begins with none of http://, https://, ws:// and wss://"#);
        check("a.example:80", r#""a.example:80" begins with none of http://, https://, ws:// and wss://"#);
        check("http://a b", r#""http://a b" is not an address such as http://127.0.0.1:8080/"#);
    }

    #[test]
    fn an_ipv6_address_is_kept_without_brackets() {
        let endpoint: Endpoint = "http://[::1]:8080/".parse().unwrap();
        assert_eq!((endpoint.host.as_str(), endpoint.authority().as_str()), ("::1", "[::1]:8080"));
    }
}

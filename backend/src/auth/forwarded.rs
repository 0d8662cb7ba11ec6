//! The client behind trusted proxies, by the rule of Tomcat's `RemoteIpValve`.
//!
//! X-Forwarded-* headers count only when the peer is a trusted proxy.
//! X-Forwarded-For is walked from right to left past trusted addresses; the
//! first other one is the client. Read from the left it would be whatever the
//! client wrote.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{AsHeaderName, HeaderValue};
use ipnet::IpNet;

/// How the client reached the first proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proto {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Proto {
    /// As X-Forwarded-Proto writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// The client's view of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    /// Address of the client.
    pub client: IpAddr,
    /// Scheme of the client's request.
    pub proto: Proto,
    /// Port the client connected to.
    pub port: u16,
    /// Host from X-Forwarded-Host, if a trusted proxy sent one.
    pub host: Option<String>,
}

/// The connection that a request came on, as far as it is known without the
/// request's headers: by a PROXY protocol header where one came, else by TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop {
    /// Who connected.
    pub peer: SocketAddr,
    /// What it connected to.
    pub local: SocketAddr,
    /// Whether TLS ends here.
    pub proto: Proto,
}

/// Resolves the client of a request that came by `hop`.
#[must_use]
pub fn resolve(hop: Hop, headers: &HeaderMap, trusted: &[IpNet]) -> Forwarded {
    let Hop { peer, local, .. } = hop;
    let peer_ip = peer.ip().to_canonical();
    let direct = Forwarded { client: peer_ip, proto: hop.proto, port: local.port(), host: None };
    let is_trusted = |ip: &IpAddr| trusted.iter().any(|network| network.contains(ip));
    if !is_trusted(&peer_ip) {
        return direct;
    }
    let mut client = peer_ip;
    for entry in list(headers, "x-forwarded-for").rev() {
        // `unknown` and garbage: nothing to the left of it can be believed.
        let Some(ip) = address(entry) else { break };
        client = ip;
        if !is_trusted(&ip) {
            break;
        }
    }
    // Every proxy on the way must have said https.
    let is_https = |proto: &str| proto.eq_ignore_ascii_case("https");
    let proto = match list(headers, "x-forwarded-proto").map(is_https).reduce(|a, b| a && b) {
        None => None,
        Some(true) => Some(Proto::Https),
        Some(false) => Some(Proto::Http),
    };
    let port = list(headers, "x-forwarded-port").next_back().and_then(|port| port.parse().ok());
    let default_port = match proto {
        None => local.port(),
        Some(Proto::Http) => 80,
        Some(Proto::Https) => 443,
    };
    Forwarded {
        client,
        proto: proto.unwrap_or(hop.proto),
        port: port.unwrap_or(default_port),
        host: list(headers, "x-forwarded-host").next_back().map(str::to_owned),
    }
}

/// The entries of a list header, over all its lines. Lines that are no ASCII
/// text are skipped.
fn list(headers: &HeaderMap<HeaderValue>, name: impl AsHeaderName) -> impl DoubleEndedIterator<Item = &str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
}

/// An address with or without a port: `1.2.3.4`, `1.2.3.4:5`, `::1`,
/// `[::1]`, `[::1]:5`.
fn address(entry: &str) -> Option<IpAddr> {
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    let ip = match bare.parse::<IpAddr>() {
        Ok(ip) => ip,
        Err(_) => entry.parse::<SocketAddr>().ok()?.ip(),
    };
    Some(ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(peer: &str, lines: &[(&'static str, &str)]) -> Forwarded {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let trusted = crate::config::RemoteIpConfig::default().internal_proxies;
        let peer = SocketAddr::new(peer.parse().unwrap(), 40_000);
        let hop = Hop { peer, local: "10.0.0.9:8080".parse().unwrap(), proto: Proto::Http };
        resolve(hop, &headers, &trusted)
    }

    #[track_caller]
    fn client(peer: &str, forwarded_for: &[&str], expected: &str) {
        let lines: Vec<_> = forwarded_for.iter().map(|v| ("x-forwarded-for", *v)).collect();
        assert_eq!(from(peer, &lines).client, expected.parse::<IpAddr>().unwrap());
    }

    #[test]
    fn the_first_untrusted_address_from_the_right_is_the_client() {
        client("10.0.0.1", &["6.6.6.6, 203.0.113.7, 10.0.0.2"], "203.0.113.7");
        client("10.0.0.1", &["6.6.6.6", "203.0.113.7, 192.168.1.1"], "203.0.113.7");
        client("10.0.0.1", &["203.0.113.7:5555"], "203.0.113.7");
        client("10.0.0.1", &["[2001:db8::7]:5555"], "2001:db8::7");
        client("10.0.0.1", &["[2001:db8::7]"], "2001:db8::7");
        client("::ffff:10.0.0.1", &["::ffff:203.0.113.7"], "203.0.113.7");
        client("100.64.0.1", &["203.0.113.7"], "203.0.113.7");
        client("fe80::1", &["203.0.113.7"], "203.0.113.7");
    }

    #[test]
    fn all_trusted_makes_the_leftmost_the_client() {
        client("127.0.0.1", &["10.1.1.1, 10.2.2.2"], "10.1.1.1");
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_says() {
        let lines = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-proto", "https")];
        let forwarded = from("203.0.113.9", &lines);
        assert_eq!(forwarded.client, "203.0.113.9".parse::<IpAddr>().unwrap());
        assert_eq!((forwarded.proto, forwarded.port), (Proto::Http, 8080));
    }

    #[test]
    fn without_a_word_of_a_proxy_the_scheme_is_that_of_the_connection() {
        let peer = "10.0.0.1:40000".parse().unwrap();
        let hop = Hop { peer, local: "10.0.0.9:8443".parse().unwrap(), proto: Proto::Https };
        let trusted = crate::config::RemoteIpConfig::default().internal_proxies;
        let mut headers = HeaderMap::new();
        let direct = resolve(hop, &headers, &trusted);
        assert_eq!((direct.proto, direct.port), (Proto::Https, 8443));
        headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
        let forwarded = resolve(hop, &headers, &trusted);
        assert_eq!((forwarded.proto, forwarded.port), (Proto::Http, 80));
    }

    #[test]
    fn garbage_stops_the_walk() {
        client("10.0.0.1", &["6.6.6.6, unknown"], "10.0.0.1");
        client("10.0.0.1", &["6.6.6.6, unknown, 10.3.3.3"], "10.3.3.3");
    }

    #[test]
    fn https_counts_only_when_every_proxy_says_so() {
        let proto = |value| {
            let forwarded = from("10.0.0.1", &[("x-forwarded-proto", value)]);
            (forwarded.proto, forwarded.port)
        };
        assert_eq!(proto("https"), (Proto::Https, 443));
        assert_eq!(proto("https, http"), (Proto::Http, 80));
        let lines = [("x-forwarded-proto", "https"), ("x-forwarded-port", "8443")];
        assert_eq!(from("10.0.0.1", &lines).port, 8443);
    }
}

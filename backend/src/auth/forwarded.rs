//! The client behind trusted proxies, by the rule of Tomcat's `RemoteIpValve`.
//!
//! X-Forwarded-* headers count only when the peer is a trusted proxy.
//! X-Forwarded-For is walked from right to left past trusted addresses; the
//! first other one is the client. Read from the left it would be whatever the
//! client wrote.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::HeaderName;
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

/// Whose headers are believed, and which.
#[derive(Debug, Clone, Copy)]
pub struct Proxies<'a> {
    /// Networks of the proxies; with none, no header counts.
    pub trusted: &'a [IpNet],
    /// Addresses of client and proxies, as X-Forwarded-For.
    pub remote_ip: &'a HeaderName,
    /// The client's scheme, as X-Forwarded-Proto.
    pub protocol: &'a HeaderName,
    /// The scheme that means TLS, in any case.
    pub https: &'a str,
    /// The port that the client connected to, as X-Forwarded-Port.
    pub port: &'a HeaderName,
    /// The host that the client asked for, as X-Forwarded-Host.
    pub host: &'a HeaderName,
}

/// Resolves the client of a request that came by `hop`.
#[must_use]
pub fn resolve(hop: Hop, headers: &HeaderMap, proxies: Proxies<'_>) -> Forwarded {
    let Hop { peer, local, .. } = hop;
    let peer_ip = peer.ip().to_canonical();
    let direct = Forwarded { client: peer_ip, proto: hop.proto, port: local.port(), host: None };
    let is_trusted = |ip: &IpAddr| proxies.trusted.iter().any(|network| network.contains(ip));
    if !is_trusted(&peer_ip) {
        return direct;
    }
    let mut client = peer_ip;
    for entry in list(headers, proxies.remote_ip).rev() {
        // `unknown` and garbage: nothing to the left of it can be believed.
        let Some(ip) = address(entry) else { break };
        client = ip;
        if !is_trusted(&ip) {
            break;
        }
    }
    // Every proxy on the way must have said https.
    let is_https = |proto: &str| proto.eq_ignore_ascii_case(proxies.https);
    let proto = match list(headers, proxies.protocol).map(is_https).reduce(|a, b| a && b) {
        None => None,
        Some(true) => Some(Proto::Https),
        Some(false) => Some(Proto::Http),
    };
    let port = list(headers, proxies.port).next_back().and_then(|port| port.parse().ok());
    let default_port = match proto {
        None => local.port(),
        Some(Proto::Http) => 80,
        Some(Proto::Https) => 443,
    };
    Forwarded {
        client,
        proto: proto.unwrap_or(hop.proto),
        port: port.unwrap_or(default_port),
        host: list(headers, proxies.host).next_back().map(str::to_owned),
    }
}

/// The entries of a list header, over all its lines. Lines that are no ASCII
/// text are skipped.
fn list<'a>(headers: &'a HeaderMap, name: &'a HeaderName) -> impl DoubleEndedIterator<Item = &'a str> {
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
    use http::header::HeaderValue;

    use super::*;

    fn from(peer: &str, lines: &[(&'static str, &str)]) -> Forwarded {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let config = crate::config::ServerConfig::default();
        let peer = SocketAddr::new(peer.parse().unwrap(), 40_000);
        let hop = Hop { peer, local: "10.0.0.9:8080".parse().unwrap(), proto: Proto::Http };
        resolve(hop, &headers, config.proxies())
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
        let config = crate::config::ServerConfig::default();
        let mut headers = HeaderMap::new();
        let direct = resolve(hop, &headers, config.proxies());
        assert_eq!((direct.proto, direct.port), (Proto::Https, 8443));
        headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
        let forwarded = resolve(hop, &headers, config.proxies());
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

    #[test]
    fn headers_are_those_of_the_settings_and_none_when_they_are_ignored() {
        let mut config = crate::config::ServerConfig::default();
        config.tomcat.remoteip.remote_ip_header = HeaderName::from_static("x-real-ip");
        config.tomcat.remoteip.protocol_header_https_value = "on".to_owned();
        let headers: HeaderMap = [("x-real-ip", "203.0.113.7"), ("x-forwarded-proto", "ON")]
            .into_iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let hop = Hop {
            peer: "10.0.0.1:40000".parse().unwrap(),
            local: "10.0.0.9:8080".parse().unwrap(),
            proto: Proto::Http,
        };
        let forwarded = resolve(hop, &headers, config.proxies());
        assert_eq!(forwarded.client, "203.0.113.7".parse::<IpAddr>().unwrap());
        assert_eq!(forwarded.proto, Proto::Https);
        config.use_forward_headers = Some(false);
        assert_eq!(resolve(hop, &headers, config.proxies()).client, hop.peer.ip());
        config.forward_headers_strategy = Some(crate::config::ForwardHeadersStrategy::Framework);
        assert_eq!(resolve(hop, &headers, config.proxies()), forwarded);
    }
}

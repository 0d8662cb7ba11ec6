//! `server.tomcat.*`, with Tomcat's meaning.

mod proxies;

use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::config::units;

/// Tomcat's connector settings, with its meaning.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TomcatConfig {
    /// Longest time in which the whole head of a request must arrive, counted
    /// from its first byte (from the accept for the first one). An absolute
    /// deadline: Tomcat's restarts at each byte. Default `20s`.
    ///
    /// A PROXY protocol header and the TLS handshake, where there are any, have
    /// the same time together, counted from the accept; the first head is then
    /// counted from the end of the handshake.
    #[serde(deserialize_with = "units::duration")]
    pub connection_timeout: Duration,
    /// How long a connection may idle between two requests. Default `70s`:
    /// longer than the 60 s idle timeout of an Application Load Balancer, which
    /// otherwise meets a closed connection and answers 502. (In an
    /// `application.yml` it is `connection-timeout`, where that alone is set, as
    /// Tomcat has it.)
    #[serde(deserialize_with = "units::duration")]
    pub keep_alive_timeout: Duration,
    /// Largest head of a request in bytes, 431 above. Default `8192`.
    #[serde(deserialize_with = "units::size")]
    pub max_http_header_size: usize,
    /// Connections served at one time, WebSockets included; the next one is
    /// answered 503 with `Connection: close`, or closed unanswered where the
    /// answer would need a TLS handshake first. Default 10000.
    pub max_connections: usize,
    /// Listen backlog. Default 4096 rather than Tomcat's 100, so that a
    /// reconnecting fleet is not refused by the kernel.
    pub accept_count: u32,
    /// Requests on one connection, the last of which is answered with
    /// `Connection: close`; -1 for any number, 0 and 1 for one. Default -1 rather
    /// than Tomcat's 100: a balancer uses its connections again and again.
    pub max_keep_alive_requests: i64,
    /// Tomcat's thread pool. Without effect: there is none.
    pub threads: ThreadsConfig,
    /// Who may set X-Forwarded-*.
    pub remoteip: RemoteIpConfig,
}

/// `server.tomcat.threads.*`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ThreadsConfig {
    /// Without effect. Default none.
    pub max: Option<u32>,
    /// Without effect. Default none.
    pub min_spare: Option<u32>,
    /// Without effect. Default none.
    pub max_queue_capacity: Option<u32>,
}

/// Tomcat's `RemoteIpValve`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RemoteIpConfig {
    /// Networks of the proxies whose X-Forwarded-* headers are believed.
    /// Default, Tomcat's: loopback, RFC 1918, RFC 6598 (100.64.0.0/10),
    /// link-local and unique local addresses.
    ///
    /// Tomcat wants a regular expression here. Its default is understood, and so
    /// is one of addresses whose last numbers are any, as
    /// `10\\.\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}|192\\.168\\..*`.
    #[serde(deserialize_with = "proxies::networks")]
    pub internal_proxies: Vec<IpNet>,
    /// Header with the addresses of client and proxies. Default
    /// `x-forwarded-for`.
    #[serde(deserialize_with = "header_name")]
    pub remote_ip_header: HeaderName,
    /// Header with the client's scheme. Default `x-forwarded-proto`.
    #[serde(deserialize_with = "header_name")]
    pub protocol_header: HeaderName,
    /// Its value for TLS, in any case. Default `https`.
    pub protocol_header_https_value: String,
    /// Header with the port that the client connected to. Default
    /// `x-forwarded-port`.
    #[serde(deserialize_with = "header_name")]
    pub port_header: HeaderName,
    /// Header with the host that the client asked for. Default
    /// `x-forwarded-host`.
    #[serde(deserialize_with = "header_name")]
    pub host_header: HeaderName,
}

impl Default for TomcatConfig {
    fn default() -> Self {
        Self {
            connection_timeout: Duration::from_secs(20),
            keep_alive_timeout: Duration::from_secs(70),
            max_http_header_size: 8192,
            max_connections: 10_000,
            accept_count: 4096,
            max_keep_alive_requests: -1,
            threads: ThreadsConfig::default(),
            remoteip: RemoteIpConfig::default(),
        }
    }
}

impl Default for RemoteIpConfig {
    fn default() -> Self {
        Self {
            internal_proxies: proxies::default_networks(),
            remote_ip_header: HeaderName::from_static("x-forwarded-for"),
            protocol_header: HeaderName::from_static("x-forwarded-proto"),
            protocol_header_https_value: "https".to_owned(),
            port_header: HeaderName::from_static("x-forwarded-port"),
            host_header: HeaderName::from_static("x-forwarded-host"),
        }
    }
}

impl TomcatConfig {
    /// What the types cannot say, one line each.
    pub(super) fn problems(&self) -> Vec<String> {
        let rules = [
            (!self.connection_timeout.is_zero(), "connection-timeout: must be above zero"),
            (!self.keep_alive_timeout.is_zero(), "keep-alive-timeout: must be above zero"),
            ((1..=1_000_000).contains(&self.max_connections), "max-connections: must be from 1 to 1000000"),
            ((1..=65_535).contains(&self.accept_count), "accept-count: must be from 1 to 65535"),
            (self.max_keep_alive_requests >= -1, "max-keep-alive-requests: must not be below -1"),
        ];
        let broken = rules.iter().filter(|(holds, _)| !holds);
        broken.map(|(_, problem)| format!("server.tomcat.{problem}")).collect()
    }

    /// Whether a connection is to close after so many requests.
    #[must_use]
    pub fn is_last_request(&self, requests: u64) -> bool {
        u64::try_from(self.max_keep_alive_requests).is_ok_and(|most| requests >= most)
    }
}

fn header_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HeaderName, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| D::Error::custom(format!("{text:?} is no name of a header")))
}

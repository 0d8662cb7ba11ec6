//! `server.*`, under Spring Boot's names.

mod tomcat;

use std::net::{IpAddr, Ipv4Addr};

use serde::Deserialize;

use crate::auth::Proxies;

use super::proxy_protocol::ProxyProtocolConfig;
use super::ssl::SslConfig;
use super::units;

pub use tomcat::{RemoteIpConfig, ThreadsConfig, TomcatConfig};

/// Where to listen, and the limits of HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServerConfig {
    /// TCP port; 0 lets the system choose. Default 8080.
    pub port: u16,
    /// Local address. Default 127.0.0.1: a backend stands behind a balancer.
    pub address: IpAddr,
    /// Listen with `SO_REUSEPORT`, for a harness that already holds the port.
    /// Default false.
    pub reuse_port: bool,
    /// Whether X-Forwarded-* headers count. Default `native`.
    pub forward_headers_strategy: Option<ForwardHeadersStrategy>,
    /// The same in the words of older versions: `native` or `none`. Default
    /// none; `forward-headers-strategy` counts more.
    pub use_forward_headers: Option<bool>,
    /// Largest head of a request in bytes: Spring Boot 3's name of
    /// `server.tomcat.max-http-header-size`, which it counts more than.
    #[serde(deserialize_with = "units::optional_size")]
    pub max_http_request_header_size: Option<usize>,
    /// Spring Boot 2's name of the same.
    #[serde(deserialize_with = "units::optional_size")]
    pub max_http_header_size: Option<usize>,
    /// Whether clients are told before they are closed. Default `graceful`.
    pub shutdown: ShutdownMode,
    /// TLS that ends here: Spring's `server.ssl.*`.
    pub ssl: SslConfig,
    /// The PROXY protocol of a balancer that passes TCP on.
    pub proxy_protocol: ProxyProtocolConfig,
    /// Timeouts and limits under Tomcat's names.
    pub tomcat: TomcatConfig,
}

/// Spring's `server.forward-headers-strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardHeadersStrategy {
    /// They are ignored: the client is whoever connected.
    None,
    /// They count when `server.tomcat.remoteip.internal-proxies` names the peer.
    Native,
    /// The same as `native`: headers of just anyone are never believed.
    Framework,
}

/// Spring's `server.shutdown`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShutdownMode {
    /// Notice, grace, and closes over the jitter window.
    #[default]
    Graceful,
    /// Everything is dropped at once.
    Immediate,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            port: 8080,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            reuse_port: false,
            forward_headers_strategy: None,
            use_forward_headers: None,
            max_http_request_header_size: None,
            max_http_header_size: None,
            shutdown: ShutdownMode::Graceful,
            ssl: SslConfig::default(),
            proxy_protocol: ProxyProtocolConfig::default(),
            tomcat: TomcatConfig::default(),
        }
    }
}

impl ServerConfig {
    /// Largest head of a request in bytes, by whichever name it was set.
    #[must_use]
    pub fn header_limit(&self) -> usize {
        let tomcat = self.tomcat.max_http_header_size;
        self.max_http_request_header_size.or(self.max_http_header_size).unwrap_or(tomcat)
    }

    /// Whose X-Forwarded-* headers count, and which they are.
    #[must_use]
    pub fn proxies(&self) -> Proxies<'_> {
        let remote = &self.tomcat.remoteip;
        let is_believed = match self.forward_headers_strategy {
            Some(strategy) => strategy != ForwardHeadersStrategy::None,
            None => self.use_forward_headers.unwrap_or(true),
        };
        Proxies {
            trusted: if is_believed { &remote.internal_proxies } else { &[] },
            remote_ip: &remote.remote_ip_header,
            protocol: &remote.protocol_header,
            https: &remote.protocol_header_https_value,
            port: &remote.port_header,
            host: &remote.host_header,
        }
    }

    /// What the types cannot say, one line each.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = self.tomcat.problems();
        let sizes = [
            ("max-http-request-header-size", self.max_http_request_header_size),
            ("max-http-header-size", self.max_http_header_size),
            ("tomcat.max-http-header-size", Some(self.tomcat.max_http_header_size)),
        ];
        let wrong = sizes.iter().filter(|(_, size)| size.is_some_and(|n| !(1024..=256 << 10).contains(&n)));
        problems.extend(wrong.map(|(key, _)| format!("server.{key}: must be from 1KiB to 256KiB")));
        problems.extend(self.ssl.problems());
        problems.extend(self.proxy_protocol.problems());
        problems
    }
}

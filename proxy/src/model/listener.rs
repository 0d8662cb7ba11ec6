//! Listener: a protocol and port with certificates, default actions and rules.
//!
//! ELB page: "Listeners for your Application Load Balancers".

use std::{net::SocketAddr, time::Duration};

use http::{HeaderName, HeaderValue};
use ipnet::IpNet;

use super::{CertificateIndex, Rule, SecurityPolicy, TrustStoreIndex, rule::Actions};

/// The protocol a listener speaks with clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListenerProtocol {
    /// Plain HTTP/1.x.
    Http,
    /// HTTP/1.x and HTTP/2 over TLS.
    Https,
    /// TCP passthrough (network load balancer).
    Tcp,
    /// TLS terminated, bytes forwarded (network load balancer).
    Tls,
}

impl ListenerProtocol {
    /// The name in the `ELBv2` API: `HTTP`, `HTTPS`, `TCP`, `TLS`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// Whether the listener terminates TLS.
    #[must_use]
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Tls)
    }
}

/// A listener of a load balancer.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// ARN-like name.
    pub arn: String,
    /// What clients speak here.
    pub protocol: ListenerProtocol,
    /// Address and port to listen on. The address is `0.0.0.0` unless `address` says otherwise.
    pub bind: SocketAddr,
    /// TLS settings; `Some` exactly for HTTPS and TLS.
    pub tls: Option<ListenerTls>,
    /// Rules with a priority, lowest number first.
    pub rules: Vec<Rule>,
    /// The default rule's actions, taken when no rule matches.
    pub default_actions: Actions,
    /// Listener attributes, typed.
    pub attributes: ListenerAttributes,
}

impl Listener {
    /// `PROTOCOL:PORT`: the listener's name in metrics.
    #[must_use]
    pub fn metric_name(&self) -> String {
        format!("{}:{}", self.protocol.as_str(), self.bind.port())
    }
}

/// TLS settings of a listener.
#[derive(Debug, Clone, PartialEq)]
pub struct ListenerTls {
    /// Security policy by AWS name.
    pub policy: &'static SecurityPolicy,
    /// Certificates; the first is the default, the others are chosen by SNI. Never empty.
    pub certificates: Vec<CertificateIndex>,
    /// What is asked of the client's certificate.
    pub mutual_authentication: MutualAuthentication,
    /// `AlpnPolicy` of a TLS listener.
    pub alpn_policy: AlpnPolicy,
}

/// `AlpnPolicy` of a TLS listener: which protocols are agreed on with clients by ALPN.
///
/// ELB page: "TLS listeners for your Network Load Balancer", ALPN policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AlpnPolicy {
    /// `None`, the default: nothing is negotiated.
    #[default]
    None,
    /// `HTTP1Only`: http/1.1, http/1.0.
    Http1Only,
    /// `HTTP2Only`: h2.
    Http2Only,
    /// `HTTP2Optional`: http/1.1, http/1.0, h2.
    Http2Optional,
    /// `HTTP2Preferred`: h2, http/1.1, http/1.0.
    Http2Preferred,
}

impl AlpnPolicy {
    /// The name in the `ELBv2` API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Http1Only => "HTTP1Only",
            Self::Http2Only => "HTTP2Only",
            Self::Http2Optional => "HTTP2Optional",
            Self::Http2Preferred => "HTTP2Preferred",
        }
    }

    /// The protocols that are offered, the preferred one first.
    #[must_use]
    pub const fn protocols(self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::Http1Only => &["http/1.1", "http/1.0"],
            Self::Http2Only => &["h2"],
            Self::Http2Optional => &["http/1.1", "http/1.0", "h2"],
            Self::Http2Preferred => &["h2", "http/1.1", "http/1.0"],
        }
    }
}

/// `MutualAuthentication` of an HTTPS listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MutualAuthentication {
    /// `off`, the default: no certificate is asked for.
    Off,
    /// `passthrough`: the chain goes to the target in a header, unverified.
    Passthrough,
    /// `verify`: without a valid certificate there is no connection.
    Verify {
        /// Who is trusted.
        trust_store: TrustStoreIndex,
        /// `IgnoreClientCertificateExpiry`. Default false.
        ignore_client_certificate_expiry: bool,
        /// `AdvertiseTrustStoreCaNames`. Default off.
        advertise_trust_store_ca_names: bool,
    },
}

/// The listener attributes that steer the data plane, typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerAttributes {
    /// `routing.http.response.server.enabled`. Default true.
    pub server_header: bool,
    /// `routing.http.response.*.header_value` that are set: they overwrite what the target sent.
    pub inserted_headers: Vec<(HeaderName, HeaderValue)>,
    /// `routing.http.request.x_amzn_*.header_name`.
    pub header_names: RequestHeaderNames,
    /// `tcp.idle_timeout.seconds` of TCP listeners: 60–6000 s, default 350 s. That of TLS listeners is 350 s.
    pub tcp_idle_timeout: Duration,
    /// `albeit.proxy_protocol` and `albeit.proxy_protocol.trusted_cidrs`.
    pub proxy_protocol: ProxyProtocol,
}

/// Whether connections of a listener begin with a PROXY protocol header, version 1 or 2, and whose word counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProxyProtocol {
    /// `albeit.proxy_protocol`.
    pub mode: ProxyProtocolMode,
    /// `albeit.proxy_protocol.trusted_cidrs`: whose headers are believed. Nobody's by default.
    pub trusted: Vec<IpNet>,
}

/// `albeit.proxy_protocol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProxyProtocolMode {
    /// `off`, the default: no header is looked for.
    #[default]
    Off,
    /// `optional`: a header of a trusted peer is read if there is one; of others none is looked for.
    Optional,
    /// `required`: a connection without a header, or of a peer that is not trusted, is closed.
    Required,
}

impl Default for ListenerAttributes {
    fn default() -> Self {
        Self {
            tcp_idle_timeout: Duration::from_secs(350),
            proxy_protocol: ProxyProtocol::default(),
            server_header: true,
            inserted_headers: Vec::new(),
            header_names: RequestHeaderNames::default(),
        }
    }
}

/// Names of the request headers that a listener may rename, as they are written to targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeaderNames {
    /// `X-Amzn-Mtls-Clientcert-Serial-Number`.
    pub mtls_serial_number: String,
    /// `X-Amzn-Mtls-Clientcert-Issuer`.
    pub mtls_issuer: String,
    /// `X-Amzn-Mtls-Clientcert-Subject`.
    pub mtls_subject: String,
    /// `X-Amzn-Mtls-Clientcert-Validity`.
    pub mtls_validity: String,
    /// `X-Amzn-Mtls-Clientcert-Leaf`.
    pub mtls_leaf: String,
    /// `X-Amzn-Mtls-Clientcert`.
    pub mtls_clientcert: String,
    /// `X-Amzn-Tls-Version`.
    pub tls_version: String,
    /// `X-Amzn-Tls-Cipher-Suite`.
    pub tls_cipher_suite: String,
}

impl Default for RequestHeaderNames {
    fn default() -> Self {
        Self {
            mtls_serial_number: "X-Amzn-Mtls-Clientcert-Serial-Number".to_owned(),
            mtls_issuer: "X-Amzn-Mtls-Clientcert-Issuer".to_owned(),
            mtls_subject: "X-Amzn-Mtls-Clientcert-Subject".to_owned(),
            mtls_validity: "X-Amzn-Mtls-Clientcert-Validity".to_owned(),
            mtls_leaf: "X-Amzn-Mtls-Clientcert-Leaf".to_owned(),
            mtls_clientcert: "X-Amzn-Mtls-Clientcert".to_owned(),
            tls_version: "X-Amzn-Tls-Version".to_owned(),
            tls_cipher_suite: "X-Amzn-Tls-Cipher-Suite".to_owned(),
        }
    }
}

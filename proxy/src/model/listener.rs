//! Listener: a protocol and port with certificates, default actions and rules.
//!
//! ELB page: "Listeners for your Application Load Balancers".

use std::net::SocketAddr;

use super::{Action, CertificateIndex, Rule, SecurityPolicy};

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
    /// The default rule's action, taken when no rule matches.
    pub default_action: Action,
}

/// TLS settings of a listener.
#[derive(Debug, Clone, PartialEq)]
pub struct ListenerTls {
    /// Security policy by AWS name.
    pub policy: &'static SecurityPolicy,
    /// Certificates; the first is the default, the others are chosen by SNI. Never empty.
    pub certificates: Vec<CertificateIndex>,
}

//! Protocols of listeners and target groups, and which go together.
//!
//! ELB pages: "Listener configuration" of both guides, "Routing configuration"
//! of both kinds of target groups.

use crate::model::LoadBalancerType;

/// A protocol by its name in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    Https,
    Tcp,
    Tls,
    Udp,
    TcpUdp,
    Quic,
    TcpQuic,
}

impl Protocol {
    /// Every protocol with its name.
    pub(super) const ALL: &[(&str, Self)] = &[
        ("HTTP", Self::Http),
        ("HTTPS", Self::Https),
        ("TCP", Self::Tcp),
        ("TLS", Self::Tls),
        ("UDP", Self::Udp),
        ("TCP_UDP", Self::TcpUdp),
        ("QUIC", Self::Quic),
        ("TCP_QUIC", Self::TcpQuic),
    ];

    /// The protocols of a load balancer type's listeners.
    pub(super) fn of(kind: LoadBalancerType) -> Vec<(&'static str, Self)> {
        Self::ALL.iter().copied().filter(|(_, protocol)| protocol.kind() == kind).collect()
    }

    /// The name in the API.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Udp => "UDP",
            Self::TcpUdp => "TCP_UDP",
            Self::Quic => "QUIC",
            Self::TcpQuic => "TCP_QUIC",
        }
    }

    /// The load balancer type that has listeners and target groups with this protocol.
    pub(super) const fn kind(self) -> LoadBalancerType {
        match self {
            Self::Http | Self::Https => LoadBalancerType::Application,
            Self::Tcp | Self::Tls | Self::Udp | Self::TcpUdp | Self::Quic | Self::TcpQuic => {
                LoadBalancerType::Network
            }
        }
    }

    /// Whether a listener with this protocol terminates TLS.
    pub(super) const fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Tls)
    }

    /// Whether a listener with this protocol can forward to a group with the protocol `group`.
    pub(super) const fn forwards_to(self, group: Self) -> bool {
        matches!(
            (self, group),
            (Self::Http | Self::Https, Self::Http | Self::Https)
                | (Self::Tcp, Self::Tcp | Self::TcpUdp | Self::TcpQuic)
                | (Self::Tls, Self::Tcp | Self::Tls)
                | (Self::Udp, Self::Udp | Self::TcpUdp)
                | (Self::TcpUdp, Self::TcpUdp)
                | (Self::Quic, Self::Quic | Self::TcpQuic)
                | (Self::TcpQuic, Self::TcpQuic)
        )
    }
}

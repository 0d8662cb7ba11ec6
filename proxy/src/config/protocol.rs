//! Protocols of listeners and target groups, and which go together.
//!
//! ELB pages: "Listener configuration" of both guides, "Routing configuration"
//! of both kinds of target groups.

use super::{
    context::{Context, KnownGroup},
    path::Path,
};
use crate::model::{
    LoadBalancerType, TargetType,
    target_group::{ProtocolVersion, Stickiness},
};

/// A protocol by its name in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    Https,
    Tcp,
    Tls,
}

/// Protocols of network load balancers that are not carried.
const NOT_CARRIED: [&str; 4] = ["UDP", "TCP_UDP", "QUIC", "TCP_QUIC"];

impl Protocol {
    /// Every protocol with its name.
    pub(super) const ALL: &[(&str, Self)] =
        &[("HTTP", Self::Http), ("HTTPS", Self::Https), ("TCP", Self::Tcp), ("TLS", Self::Tls)];

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
        }
    }

    /// The load balancer type that has listeners and target groups with this protocol.
    pub(super) const fn kind(self) -> LoadBalancerType {
        match self {
            Self::Http | Self::Https => LoadBalancerType::Application,
            Self::Tcp | Self::Tls => LoadBalancerType::Network,
        }
    }

    /// Whether a listener with this protocol terminates TLS.
    pub(super) const fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Tls)
    }

    /// Whether a listener with this protocol can forward to a group with the protocol `group`.
    const fn forwards_to(self, group: Self) -> bool {
        matches!(
            (self, group),
            (Self::Http | Self::Https, Self::Http | Self::Https)
                | (Self::Tcp, Self::Tcp)
                | (Self::Tls, Self::Tcp | Self::Tls)
        )
    }
}

/// Reports a protocol that ELB has and that is not carried; `what` has it. Says whether it is one.
pub(super) fn refuse_if_not_carried(text: &str, what: &str, at: &Path, cx: &mut Context<'_>) -> bool {
    let refused = NOT_CARRIED.contains(&text);
    if refused {
        let message =
            format!("not supported: {text} {what} (Albeit carries TCP and TLS; see docs/parity.md)");
        cx.report.mistake(at, message);
    }
    refused
}

/// Why a listener cannot forward to `group`, which has the name `name`.
pub(super) fn refusal(listener: Protocol, name: &str, group: &KnownGroup) -> Option<String> {
    let protocol = listener.as_str();
    if let Some(target) = group.protocol
        && !listener.forwards_to(target)
    {
        let target = target.as_str();
        return Some(format!(
            "{protocol} listeners cannot forward to target group \"{name}\" with protocol {target}"
        ));
    }
    if let Some(version) = group.version
        && version != ProtocolVersion::Http1
        && listener != Protocol::Https
    {
        let version = version.as_str();
        return Some(format!(
            "Listener protocol '{protocol}' is not supported with a target group with the protocol-version '{version}'"
        ));
    }
    if listener != Protocol::Tls {
        return None;
    }
    if group.target_type == TargetType::Alb {
        return Some(format!(
            "TLS listeners cannot forward to target group \"{name}\" with target type alb; use a TCP listener, \
             and an HTTPS listener of the application load balancer"
        ));
    }
    (group.stickiness == Some(Stickiness::SourceIp)).then(|| {
        format!(
            "TLS listeners cannot forward to target group \"{name}\" with stickiness of type 'source_ip'; \
             use a TCP listener, or switch the stickiness off"
        )
    })
}

//! `server.proxy-protocol.*`. Neither Spring Boot nor Tomcat has a name for it.

use std::net::IpAddr;

use clap::ValueEnum;
use ipnet::IpNet;
use serde::Deserialize;

use super::units;

/// The PROXY protocol, versions 1 and 2, at the start of each connection and
/// before TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProxyProtocolConfig {
    /// Whether a header is read. Default `off`.
    pub mode: ProxyProtocolMode,
    /// Networks of the balancers whose headers are believed. Default none; must
    /// be set unless the mode is `off`, since whoever may send a header may
    /// claim any address.
    #[serde(deserialize_with = "units::networks")]
    pub trusted_peers: Vec<IpNet>,
}

/// Whether a header is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyProtocolMode {
    /// None: a header is taken for a malformed request.
    #[default]
    Off,
    /// If a trusted peer begins with one. Others are served without.
    Optional,
    /// From everyone: a connection of another peer, or without a header, is
    /// closed.
    Required,
}

impl ProxyProtocolConfig {
    /// Whether a header of this peer is believed.
    #[must_use]
    pub fn is_trusted(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_peers.iter().any(|network| network.contains(&peer))
    }

    /// What the types cannot say.
    pub(super) fn problems(&self) -> Option<String> {
        let is_open = self.mode != ProxyProtocolMode::Off && self.trusted_peers.is_empty();
        is_open.then(|| {
            "server.proxy-protocol.trusted-peers: must name the balancers' networks, like [10.0.0.0/8], \
             unless server.proxy-protocol.mode is off"
                .to_owned()
        })
    }
}

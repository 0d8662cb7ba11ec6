//! What the connections of one listener meet first: swapped as a whole on reload.

use std::{net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;

use super::proxy_protocol::ProxyProtocolIn;
use crate::{alb, flow::Protocol, model::ListenerProtocol, nlb};

/// A listener as a configuration wants it.
#[derive(Debug)]
pub struct ListenerSettings {
    /// Where it listens.
    pub bind: SocketAddr,
    /// How PROXY protocol headers are received; `None` is `off`.
    pub proxy_protocol: Option<ProxyProtocolIn>,
    /// What its connections are served by.
    pub plane: PlaneSettings,
}

/// The data plane of a listener, with what it works with.
#[derive(Debug)]
pub enum PlaneSettings {
    /// HTTP and HTTPS.
    Application(Box<alb::state::ListenerState>),
    /// TCP and TLS.
    Network(Box<nlb::ListenerState>),
}

/// A listener in service.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) proxy_protocol: Option<ProxyProtocolIn>,
    pub(super) plane: Plane,
}

/// The data plane of a listener in service.
#[derive(Debug)]
pub(super) enum Plane {
    /// Requests load the state anew, so that a reload reaches connections that are open.
    Application(Arc<ArcSwap<alb::state::ListenerState>>),
    /// A flow keeps the state it began with.
    Network(Arc<nlb::ListenerState>),
}

impl Front {
    /// The listener as it is from now on; `before` is what it was.
    pub(super) fn new(settings: ListenerSettings, before: Option<&Self>, flows: &nlb::Shared) -> Self {
        let plane = match (settings.plane, before.map(|before| &before.plane)) {
            (PlaneSettings::Application(state), Some(Plane::Application(served))) => {
                served.store(Arc::from(state));
                Plane::Application(Arc::clone(served))
            }
            (PlaneSettings::Application(state), _) => {
                Plane::Application(Arc::new(ArcSwap::new(Arc::from(state))))
            }
            (PlaneSettings::Network(mut state), before) => {
                if let Some(Plane::Network(before)) = before {
                    state.replace(before, flows);
                }
                Plane::Network(Arc::from(state))
            }
        };
        Self { proxy_protocol: settings.proxy_protocol, plane }
    }

    /// Protocol and load balancer, for the log.
    pub(super) fn names(&self) -> (&'static str, String) {
        match &self.plane {
            Plane::Application(state) => {
                let state = state.load();
                (state.protocol.as_str(), state.load_balancer.log_name.clone())
            }
            Plane::Network(state) => {
                let protocol = match state.protocol {
                    Protocol::Tcp => ListenerProtocol::Tcp,
                    Protocol::Tls => ListenerProtocol::Tls,
                };
                (protocol.as_str(), state.load_balancer.log_name.clone())
            }
        }
    }

    /// Counts a connection that the system could not hand over.
    pub(super) fn count_rejected(&self) {
        match &self.plane {
            Plane::Application(state) => state.load().load_balancer.metrics.rejected_connection_count.inc(),
            Plane::Network(state) => state.load_balancer.metrics.reject_flow(state.protocol),
        }
    }
}

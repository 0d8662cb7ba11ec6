//! What the connections of one listener meet first: swapped as a whole on reload.

use std::{net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;

use super::proxy_protocol::ProxyProtocolIn;
use crate::{alb, client::closing::Closing, flow::Protocol, model::ListenerProtocol, nlb};

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
    /// Cancelled when the listener goes, or goes over to the other plane: its connections end soon.
    pub(super) closing: Closing,
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
    /// The listener as it is from now on; `before` is what it was, and `stopped` is cancelled when it goes.
    pub(super) fn new(
        settings: ListenerSettings,
        before: Option<&Self>,
        stopped: &Closing,
        flows: &nlb::Shared,
    ) -> Self {
        let (plane, closing) = match (settings.plane, before.map(|before| (&before.plane, &before.closing))) {
            (PlaneSettings::Application(state), Some((Plane::Application(served), closing))) => {
                served.store(Arc::from(state));
                (Plane::Application(Arc::clone(served)), closing.clone())
            }
            (PlaneSettings::Network(mut state), Some((Plane::Network(before), closing))) => {
                state.replace(before, flows);
                (Plane::Network(Arc::from(state)), closing.clone())
            }
            (PlaneSettings::Application(state), _) => {
                (Plane::Application(Arc::new(ArcSwap::new(Arc::from(state)))), stopped.child())
            }
            (PlaneSettings::Network(state), _) => (Plane::Network(Arc::from(state)), stopped.child()),
        };
        Self { proxy_protocol: settings.proxy_protocol, plane, closing }
    }

    /// Whether the connections of `before` are served as those from now on are: by the same plane.
    pub(super) const fn goes_on_from(&self, before: &Self) -> bool {
        matches!(
            (&self.plane, &before.plane),
            (Plane::Application(_), Plane::Application(_)) | (Plane::Network(_), Plane::Network(_))
        )
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

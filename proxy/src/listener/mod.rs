//! Listeners: sockets that are opened, kept and closed as the configuration
//! says, and the way of a connection from accept to its data plane.
//!
//! A listener that a reload does not touch keeps its socket; its new settings
//! are swapped in under it. All sockets of a new configuration are bound before
//! anything of it takes effect.

mod accept;
mod application;
mod connection_log;
mod front;
mod handover;
mod proxy_protocol;
mod socket;

use std::{collections::HashMap, io, net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::front::Front;
pub use self::{
    front::{ListenerSettings, PlaneSettings},
    proxy_protocol::ProxyProtocolIn,
    socket::PortSharing,
};
use crate::{alb, nlb};

/// The listeners of the process.
#[derive(Debug)]
pub struct Listeners {
    planes: Arc<Planes>,
    port_sharing: PortSharing,
}

/// The two data planes, and who is served by which.
#[derive(Debug)]
struct Planes {
    alb: Arc<alb::state::Shared>,
    nlb: Arc<nlb::Shared>,
    running: Mutex<HashMap<SocketAddr, Running>>,
}

#[derive(Debug)]
struct Running {
    front: Arc<ArcSwap<Front>>,
    stopped: CancellationToken,
}

/// A socket could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    /// Where.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

/// Sockets that are open but not yet served: the first half of a reload.
#[derive(Debug)]
pub struct Bound(HashMap<SocketAddr, TcpListener>);

impl Listeners {
    /// No listeners yet.
    #[must_use]
    pub fn new(alb: Arc<alb::state::Shared>, nlb: Arc<nlb::Shared>, port_sharing: PortSharing) -> Self {
        Self { planes: Arc::new(Planes { alb, nlb, running: Mutex::new(HashMap::new()) }), port_sharing }
    }

    /// Opens the sockets of `addresses` that are not open yet. Nothing else changes.
    ///
    /// # Errors
    ///
    /// [`BindError`] for the first that cannot be opened; none of the others stays open.
    pub fn bind(&self, addresses: impl IntoIterator<Item = SocketAddr>) -> Result<Bound, BindError> {
        let running = self.planes.running.lock();
        let mut bound = HashMap::new();
        for address in addresses {
            if !running.contains_key(&address) {
                let socket = socket::listen(address, self.port_sharing);
                bound.insert(address, socket.map_err(|source| BindError { address, source })?);
            }
        }
        Ok(Bound(bound))
    }

    /// Makes `listeners` the ones that are served; those not among them stop accepting.
    ///
    /// Each address must be running already or be in `bound`.
    pub fn apply(&self, mut bound: Bound, listeners: Vec<ListenerSettings>) {
        let mut running = self.planes.running.lock();
        let wanted: Vec<SocketAddr> = listeners.iter().map(|listener| listener.bind).collect();
        for settings in listeners {
            let address = settings.bind;
            if let Some(running) = running.get(&address) {
                let front = Front::new(settings, Some(&running.front.load()), &self.planes.nlb);
                running.front.store(Arc::new(front));
            } else if let Some(socket) = bound.0.remove(&address) {
                let front = Front::new(settings, None, &self.planes.nlb);
                let (protocol, load_balancer) = front.names();
                let front = Arc::new(ArcSwap::from_pointee(front));
                let stopped = self.planes.alb.draining.child_token();
                let accepting =
                    accept::run(socket, Arc::clone(&front), Arc::clone(&self.planes), stopped.clone());
                self.planes.alb.tracker.spawn(accepting);
                tracing::info!(%address, protocol, load_balancer, "listening");
                running.insert(address, Running { front, stopped });
            }
        }
        running.retain(|address, listener| {
            let keep = wanted.contains(address);
            if !keep {
                listener.stopped.cancel();
                tracing::info!(%address, "listener removed");
            }
            keep
        });
    }
}

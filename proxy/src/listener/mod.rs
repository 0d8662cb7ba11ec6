//! Listeners: sockets that are opened, kept and closed as the configuration
//! says, and the way of a connection from accept to the data plane.
//!
//! A listener that a reload does not touch keeps its socket; its new settings
//! are swapped in under it. All sockets of a new configuration are bound before
//! anything of it takes effect.

mod accept;
mod connection_log;
mod socket;

use std::{collections::HashMap, io, net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use self::socket::PortSharing;
use crate::alb::state::{ListenerState, Shared};

/// The listeners of the process.
#[derive(Debug)]
pub struct Listeners {
    shared: Arc<Shared>,
    port_sharing: PortSharing,
    running: Mutex<HashMap<SocketAddr, Running>>,
}

#[derive(Debug)]
struct Running {
    state: Arc<ArcSwap<ListenerState>>,
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
    pub fn new(shared: Arc<Shared>, port_sharing: PortSharing) -> Self {
        Self { shared, port_sharing, running: Mutex::new(HashMap::new()) }
    }

    /// Opens the sockets of `addresses` that are not open yet. Nothing else changes.
    ///
    /// # Errors
    ///
    /// [`BindError`] for the first that cannot be opened; none of the others stays open.
    pub fn bind(&self, addresses: impl IntoIterator<Item = SocketAddr>) -> Result<Bound, BindError> {
        let running = self.running.lock();
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
    pub fn apply(&self, mut bound: Bound, listeners: Vec<(SocketAddr, ListenerState)>) {
        let mut running = self.running.lock();
        let wanted: Vec<SocketAddr> = listeners.iter().map(|(address, _)| *address).collect();
        for (address, state) in listeners {
            if let Some(running) = running.get(&address) {
                running.state.store(Arc::new(state));
            } else if let Some(socket) = bound.0.remove(&address) {
                let (protocol, load_balancer) =
                    (state.protocol.as_str(), state.load_balancer.log_name.clone());
                let state = Arc::new(ArcSwap::from_pointee(state));
                let stopped = self.shared.draining.child_token();
                let accepting =
                    accept::run(socket, Arc::clone(&state), Arc::clone(&self.shared), stopped.clone());
                self.shared.tracker.spawn(accepting);
                tracing::info!(%address, protocol, load_balancer, "listening");
                running.insert(address, Running { state, stopped });
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

//! Listeners: sockets that are opened, kept and closed as the configuration
//! says, and the way of a connection from accept to its data plane.
//!
//! A listener that a reload does not touch keeps its socket; its new settings
//! are swapped in under it. One that goes over to the other data plane keeps its
//! socket too, but not its connections of HTTP: they end with the request they are
//! at. All sockets of a new configuration are bound before anything of it takes
//! effect.

mod accept;
mod application;
mod connection_log;
mod front;
mod handover;
pub mod inherited;
mod proxy_protocol;
mod socket;

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    os::fd::{AsFd as _, OwnedFd},
    sync::{Arc, Weak},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{front::Front, inherited::Inherited};
pub use self::{
    front::{ListenerSettings, PlaneSettings},
    proxy_protocol::ProxyProtocolIn,
    socket::PortSharing,
};
use crate::{
    alb,
    client::closing::{Closing, Pace},
    nlb,
};

/// The listeners of the process.
#[derive(Debug)]
pub struct Listeners {
    planes: Arc<Planes>,
    port_sharing: PortSharing,
    /// Sockets that were open before and that no listener has asked for yet.
    inherited: Mutex<Inherited>,
}

/// The two data planes, and who is served by which.
#[derive(Debug)]
struct Planes {
    /// Awaited at shutdown: accepting runs in it, and whatever a connection has to go through first.
    tracker: TaskTracker,
    /// Cancelled when the process is to go: parent of each listener's token.
    draining: CancellationToken,
    /// How soon idle connections close then.
    pace: Pace,
    /// Cancelled when the drain time is over.
    terminated: CancellationToken,
    alb: Arc<alb::state::Shared>,
    nlb: Arc<nlb::Shared>,
    running: Mutex<HashMap<SocketAddr, Running>>,
}

#[derive(Debug)]
struct Running {
    front: Arc<ArcSwap<Front>>,
    stopped: Closing,
    /// Gone once accepting has ended: nothing else keeps a socket open.
    socket: Weak<TcpListener>,
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
    /// No listeners yet. Those that come first take their sockets from `inherited`.
    #[must_use]
    pub fn new(
        alb: Arc<alb::state::Shared>,
        nlb: Arc<nlb::Shared>,
        port_sharing: PortSharing,
        inherited: Inherited,
    ) -> Self {
        let planes = Planes {
            // Those of the process, which both planes share.
            tracker: alb.tracker.clone(),
            draining: alb.draining.clone(),
            pace: Pace::default(),
            terminated: alb.terminated.clone(),
            alb,
            nlb,
            running: Mutex::new(HashMap::new()),
        };
        Self { planes: Arc::new(planes), port_sharing, inherited: Mutex::new(inherited) }
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
                let socket = self.open(address);
                bound.insert(address, socket.map_err(|source| BindError { address, source })?);
            }
        }
        Ok(Bound(bound))
    }

    /// The socket of `address`: an inherited one, else one of our own. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When the address is taken, foreign or forbidden.
    pub fn open(&self, address: SocketAddr) -> io::Result<TcpListener> {
        match self.inherited.lock().take(address) {
            Some(inherited) => socket::serve(inherited),
            None => socket::listen(address, self.port_sharing),
        }
    }

    /// How soon idle connections close once their listener goes.
    #[must_use]
    pub fn pace(&self) -> &Pace {
        &self.planes.pace
    }

    /// Closes the inherited sockets that nobody asked for.
    pub fn close_inherited(&self) {
        self.inherited.lock().close();
    }

    /// The sockets that are listened on, once more: they stay open when ours are closed.
    ///
    /// # Errors
    ///
    /// When the process has no descriptor left.
    pub fn sockets(&self) -> io::Result<Vec<OwnedFd>> {
        let running = self.planes.running.lock();
        let sockets = running.values().filter_map(|listener| listener.socket.upgrade());
        sockets.map(|socket| socket.as_fd().try_clone_to_owned()).collect()
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
                running.replace(settings, &self.planes.nlb);
            } else if let Some(socket) = bound.0.remove(&address) {
                let stopped = self.planes.draining.child_token();
                let stopped = Closing::new(stopped, self.planes.pace.clone());
                let front = Front::new(settings, None, &stopped, &self.planes.nlb);
                let (protocol, load_balancer) = front.names();
                let front = Arc::new(ArcSwap::from_pointee(front));
                let socket = Arc::new(socket);
                let open = Arc::downgrade(&socket);
                let accepting =
                    accept::run(socket, Arc::clone(&front), Arc::clone(&self.planes), stopped.clone());
                self.planes.tracker.spawn(accepting);
                tracing::info!(%address, protocol, load_balancer, "listening");
                running.insert(address, Running { front, stopped, socket: open });
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

impl Running {
    /// Serves as `settings` say from now on.
    fn replace(&self, settings: ListenerSettings, flows: &nlb::Shared) {
        let before = self.front.load_full();
        let front = Front::new(settings, Some(&before), &self.stopped, flows);
        let goes_on = front.goes_on_from(&before);
        self.front.store(Arc::new(front));
        if !goes_on {
            // Reloads do not reach its connections any more.
            before.closing.cancel();
        }
    }
}

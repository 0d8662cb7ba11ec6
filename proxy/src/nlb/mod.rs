//! The data plane of network load balancers: flows of TCP and TLS listeners.
//!
//! ELB pages: "What is a Network Load Balancer?", "Listeners for your Network
//! Load Balancers", "TLS listeners for your Network Load Balancer".
//!
//! One connection of a client is one connection to a target, chosen once; bytes
//! pass as they are. A TLS listener terminates TLS and passes what was inside.
//! Invariant: nothing here knows HTTP. Flows of target groups of the type `alb`
//! are handed over to the application load balancer of this process
//! ([`Handover`]), socket and all.

mod alb_target;
mod connect;
mod end;
mod fault;
pub mod flow;
mod flows;
mod forward;
mod state;
mod tls_stream;
mod weight_zero;

use std::{net::SocketAddr, pin::Pin, sync::Arc};

use tokio::{net::TcpStream, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::{
    connect::can_be_transparent,
    flows::{Flows, OpenFlow},
    state::{GroupState, ListenerState, LoadBalancerState},
};
use crate::{client_socket::ClientSocket, cut::Cut, tunnel::Forgotten};

/// What all flows of the process share.
#[derive(Debug)]
pub struct Shared {
    /// Awaited at shutdown: every flow runs in it.
    pub tracker: TaskTracker,
    /// What waits behind flows, and for which no drain waits.
    pub background: TaskTracker,
    /// Cancelled when the drain time is over: what has no flow yet ends.
    pub terminated: CancellationToken,
    /// Fired then, too: flows that still run are reset.
    pub shutdown: Cut<()>,
    /// Connections of flows that idled too long.
    pub forgotten: Forgotten,
    /// The flows that are open.
    pub flows: Arc<Flows>,
}

impl Shared {
    /// Flows run in `tracker`, and what waits behind them in `background`, until `terminated` at the latest.
    #[must_use]
    pub fn new(tracker: TaskTracker, background: TaskTracker, terminated: CancellationToken) -> Self {
        let forgotten = Forgotten::new(background.clone(), terminated.clone());
        Self { tracker, background, terminated, shutdown: Cut::default(), forgotten, flows: Arc::default() }
    }
}

/// A client's connection that was accepted for a flow.
#[derive(Debug)]
pub struct Accepted {
    /// The connection.
    pub tcp: TcpStream,
    /// Bytes that were read past a PROXY protocol header.
    pub ahead: Vec<u8>,
    /// The client, as a PROXY protocol header names it, else the TCP peer.
    pub client: SocketAddr,
    /// The address the client reached, as a PROXY protocol header names it, else `local`.
    pub destination: SocketAddr,
    /// The address the connection was accepted on.
    pub local: SocketAddr,
    /// When.
    pub at: Instant,
}

/// A connection that is served elsewhere: completes when that is over.
pub type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves a connection on a listener of this process as if it had been made to it.
pub trait Handover: Send + Sync {
    /// Serves `socket`, whose client is `client`, on the application load balancer's listener that is reached
    /// at `address`.
    ///
    /// # Errors
    ///
    /// The socket itself, if there is no such listener any more.
    fn hand_over(
        &self,
        address: SocketAddr,
        socket: ClientSocket,
        client: SocketAddr,
    ) -> Result<Serving, ClientSocket>;
}

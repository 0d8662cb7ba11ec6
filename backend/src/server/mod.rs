//! The server: listener, connections, and the order in which it leaves.
//!
//! [`Server::bind`] opens the socket, [`Server::run`] serves until told to
//! leave. Every task is tracked and has ended when `run` returns.

mod bind;
mod body;
mod connection;
mod drain;
mod head;
mod health;
mod listener;
mod opening;
mod proxy_protocol;
mod relay;
mod reload;
mod response;
mod routes;
mod security;
mod store;
mod timed_io;
mod tls;
mod upgrade;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::endpoint::Services;
use crate::metrics::Active;

pub use bind::BindError;
pub use reload::Reload;

use connection::Accepted;

/// Refusals answered at one time above `max-connections`; further connections
/// are dropped unanswered.
const REFUSALS: usize = 256;

/// Pause after an accept that failed, as it does when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server with an open socket.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    services: Arc<Services>,
    reload: Reload,
    tasks: TaskTracker,
    connections: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    next_connection: AtomicU64,
}

impl Server {
    /// The address listened on, with the port that the system chose for 0.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What the server's connections share: the broker to publish from outside,
    /// the metrics, the lifecycle.
    #[must_use]
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Asks for files to be read again, now and later, also while the server
    /// runs.
    #[must_use]
    pub fn reload(&self) -> Reload {
        self.reload.clone()
    }

    /// Serves until `shutdown` is cancelled, then leaves in order within the
    /// drain time of the configuration: readiness off and a notice on
    /// `/topic/server.events`, no more accepts, WebSockets closed one after the
    /// other, idle connections closed, the rest dropped, relay and store written
    /// out.
    pub async fn run(self, shutdown: CancellationToken) {
        tracing::info!(
            address = %self.address,
            instance = %self.services.config.instance,
            tls = self.reload.tls.is_some(),
            "listening"
        );
        let watch = self.reload.clone().watch(Arc::clone(&self.services));
        health::warn_of_missing(&self.services.health);
        // What outlives the sessions, until `Lifecycle::flushing`, runs here.
        let mut background = JoinSet::new();
        let flushing = self.services.lifecycle.flushing();
        background.spawn(relay::run(Arc::clone(&self.services), flushing.clone()));
        background.spawn(store::close(Arc::clone(&self.services), flushing.clone()));
        let drain = drain::Drain::new(&self.services, &self.tasks, background);
        let services = Arc::clone(&self.services);
        tokio::join!(self.accept(), watch, services.keep_presence(), drain.run(&shutdown));
        tracing::info!("stopped");
    }

    /// Accepts until the lifecycle says to close, and closes the socket: what
    /// still waits in the backlog is refused at once.
    async fn accept(self) {
        let closing = self.services.lifecycle.closing();
        loop {
            let accepted = tokio::select! {
                biased;
                () = closing.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer),
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Serves a connection, or refuses it above the limit.
    fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        let metrics = &self.services.metrics;
        let Ok(permit) = Arc::clone(&self.connections).try_acquire_owned() else {
            metrics.http_connections_refused.inc();
            tracing::warn!(%peer, "connection above max-connections refused");
            if self.reload.tls.is_some() {
                // An answer would cost a handshake, when there is least time.
                return;
            }
            if let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() {
                let aborting = self.services.lifecycle.aborting().clone();
                self.tasks.spawn(async move {
                    tokio::select! {
                        () = listener::refuse(stream) => {}
                        () = aborting.cancelled() => {}
                    }
                    drop(permit);
                });
            }
            return;
        };
        listener::tune(&stream);
        let accepted = Accepted {
            id: self.next_connection.fetch_add(1, Ordering::Relaxed),
            peer,
            local: stream.local_addr().unwrap_or(self.address),
            tls: self.reload.tls.clone(),
            active: Active::new(&metrics.http_connections_active),
            permit,
        };
        let services = Arc::clone(&self.services);
        let tasks = self.tasks.clone();
        self.tasks.spawn(connection::run(stream, accepted, services, tasks));
    }
}

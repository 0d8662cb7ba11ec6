//! The server: listener, connections, and the order in which it leaves.
//!
//! [`Server::bind`] opens the socket, [`Server::run`] serves until told to
//! leave. Every task is tracked and has ended when `run` returns.

mod body;
mod connection;
mod drain;
mod head;
mod health;
mod listener;
mod opening;
mod proxy_protocol;
mod relay;
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

use crate::app::Application;
use crate::auth::{Authenticator, Jwt, KeyError};
use crate::broker::Broker;
use crate::config::Config;
use crate::endpoint::sock_js::Sessions;
use crate::endpoint::{Presence, Services, SocketIo};
use crate::health::Lifecycle;
use crate::metrics::{Active, Metrics, MetricsError};
use crate::relay::{Relay, RelayError};
use crate::stomp::{self, Settings};
use crate::store::{OpenError, Store};
use crate::tls::{Files, Tls, TlsError};

use connection::Accepted;

/// Refusals answered at one time above `max-connections`; further connections
/// are dropped unanswered.
const REFUSALS: usize = 256;

/// Pause after an accept that failed, as it does when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address is taken or not ours.
    #[error(
        "cannot listen on {address} (choose another with --port or server.port, --address or server.address)"
    )]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The certificate or its private key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The keys of tokens cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// Everybody must be named, and nothing could.
    #[error("security.required: needs a key in security.jwt, or JWT_SECRET")]
    NoKeys,
    /// The relay's address or certificates cannot be used.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// The message store's URL cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The metrics could not be registered.
    #[error("metrics: {0}")]
    Metrics(#[from] MetricsError),
}

/// What is read from files that may change: the certificate, the keys of
/// tokens.
#[derive(Debug, Clone)]
pub struct Reload {
    tls: Option<Arc<Tls>>,
    jwt: Option<Arc<Jwt>>,
}

impl Reload {
    /// Asks for every file to be read again now, changed or not. False when
    /// there is none.
    #[must_use]
    pub fn request(&self) -> bool {
        if let Some(tls) = &self.tls {
            tls.request_reload();
        }
        if let Some(jwt) = &self.jwt {
            jwt.request_reload();
        }
        self.tls.is_some() || self.jwt.is_some()
    }
}

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
    /// Opens the socket. Connections queue in the backlog until
    /// [`run`](Self::run). Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// The certificate or the keys of tokens cannot be used, which is found
    /// before the socket opens; or the address cannot be listened on.
    pub fn bind(config: Config, application: Arc<dyn Application>) -> Result<Self, BindError> {
        let jwt = security::jwt(&config)?;
        Self::bind_with(config, application, jwt.clone().map(|jwt| jwt as _), jwt)
    }

    /// The same with tokens of one's own: `security.jwt` is not looked at.
    ///
    /// # Errors
    ///
    /// As of [`bind`](Self::bind).
    pub fn bind_with_authenticator(
        config: Config,
        application: Arc<dyn Application>,
        authenticator: Arc<dyn Authenticator>,
    ) -> Result<Self, BindError> {
        Self::bind_with(config, application, Some(authenticator), None)
    }

    fn bind_with(
        config: Config,
        application: Arc<dyn Application>,
        authenticator: Option<Arc<dyn Authenticator>>,
        jwt: Option<Arc<Jwt>>,
    ) -> Result<Self, BindError> {
        let tls = match config.server.ssl.files() {
            Some((certificate, private_key)) => {
                let (certificate, private_key) = (certificate.to_owned(), private_key.to_owned());
                Some(Arc::new(Tls::load(Files { certificate, private_key })?))
            }
            None => None,
        };
        let address = SocketAddr::new(config.server.address, config.server.port);
        let failed = |source| BindError::Listen { address, source };
        let listener = listener::open(address, config.server.tomcat.accept_count, config.server.reuse_port)
            .map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let metrics = Metrics::try_new()?;
        let security = security::security(&config, authenticator, &metrics)?;
        let admission = security::admission(&config, &metrics);
        let relay = Relay::try_new(&config.relay, &config.instance, &metrics.relay)?;
        let store = Store::open(&config.store, &metrics.store)?;
        let max_connections = config.server.tomcat.max_connections;
        metrics.http.max_connections.set(i64::try_from(max_connections).unwrap_or(i64::MAX));
        let health = health::registry(&config.management);
        store::register(&store, &health);
        let stomp = Settings {
            limits: stomp::Limits {
                frame: config.stomp.message_size_limit,
                headers: config.stomp.header_count_limit,
                line: config.stomp.header_size_limit,
            },
            subscription_limit: config.stomp.subscription_limit,
            transaction_size_limit: config.stomp.transaction_size_limit,
            heart_beat: (config.stomp.heart_beat.send, config.stomp.heart_beat.receive),
            time_to_first_message: config.stomp.time_to_first_message,
            ping_interval: config.websocket.ping_interval,
            server: format!("albeit-backend/{} {}", env!("CARGO_PKG_VERSION"), config.instance),
        };
        let server = Self {
            listener,
            address,
            connections: Arc::new(Semaphore::new(config.server.tomcat.max_connections)),
            refusals: Arc::new(Semaphore::new(REFUSALS)),
            tasks: TaskTracker::new(),
            next_connection: AtomicU64::new(1),
            reload: Reload { tls, jwt },
            services: Arc::new(Services {
                broker: Arc::new(Broker::default()),
                presence: Arc::new(Presence::new(
                    &config.presence,
                    &config.instance,
                    format!("{:016x}", rand::random::<u64>()),
                )),
                relay,
                store,
                sock_js: Sessions::new(config.server.tomcat.max_connections),
                socket_io: SocketIo::new(&config.socket_io),
                stomp: Arc::new(stomp),
                lifecycle: Lifecycle::default(),
                security,
                admission,
                health,
                application,
                metrics,
                config,
            }),
        };
        health::register(&server.services);
        Ok(server)
    }

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
        let watch = watch(self.reload.clone(), Arc::clone(&self.services));
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

/// Keeps certificate and keys current until the server closes.
async fn watch(reload: Reload, services: Arc<Services>) {
    let Reload { tls, jwt } = reload;
    let certificate = async {
        if let Some(tls) = tls {
            tls.watch(&services.metrics).await;
        }
    };
    let keys = async {
        if let Some(jwt) = jwt {
            jwt.watch(&services.metrics.auth).await;
        }
    };
    tokio::select! {
        ((), ()) = futures_util::future::join(certificate, keys) => {}
        () = services.lifecycle.closing().cancelled() => {}
    }
}

//! How a server comes to be: what cannot be used is found before the socket
//! opens.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::app::Application;
use crate::auth::{Authenticator, Jwt, KeyError};
use crate::broker::Broker;
use crate::config::Config;
use crate::endpoint::sock_js::Sessions;
use crate::endpoint::{Presence, Services, SocketIo};
use crate::health::Lifecycle;
use crate::metrics::{Metrics, MetricsError};
use crate::relay::{Relay, RelayError};
use crate::stomp::{self, Settings};
use crate::store::{OpenError, Store};
use crate::tls::{Files, Tls, TlsError};

use super::{REFUSALS, Reload, Server, health, listener, security, store};

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
        let tls = load_tls(&config)?;
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
                stomp: Arc::new(stomp_settings(&config)),
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
}

fn load_tls(config: &Config) -> Result<Option<Arc<Tls>>, TlsError> {
    let Some((certificate, private_key)) = config.server.ssl.files() else { return Ok(None) };
    let files = Files { certificate: certificate.to_owned(), private_key: private_key.to_owned() };
    Ok(Some(Arc::new(Tls::load(files)?)))
}

/// What all STOMP sessions share.
fn stomp_settings(config: &Config) -> Settings {
    Settings {
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
    }
}

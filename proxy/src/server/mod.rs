//! Composition root: start, reload, shutdown.
//!
//! A reload prepares everything first (files read, sockets bound) and then
//! swaps, or changes nothing. Shutdown drains: accepting stops, idle
//! connections close, requests in flight end, WebSockets live until the drain
//! time is over, and every log line is written before the process goes.

mod logs;
pub mod prepare;
mod snapshot;
mod watch;

use std::{
    error::Error,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::server::ProducesTickets;
use tokio::{net::TcpListener, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    logs::Logs,
    prepare::{PrepareError, Prepared, prepare},
    watch::Fingerprints,
};
use crate::{
    admin::{self, AdminState, Phase, Readiness},
    alb::state::Shared,
    authenticate::Authenticator,
    config::Loaded,
    listener::{BindError, Listeners, PortSharing},
    metrics::Metrics,
    model::Model,
    stickiness::seal::Keys,
    target_groups::Registry,
    time_scale::TimeScale,
};

/// How often idle connections and weights of targets are looked over, before time scaling.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// How long the first look-up of target host names may hold up readiness. Not scaled.
const RESOLVE_LIMIT: Duration = Duration::from_secs(5);
/// How long tasks and logs may take to end after the drain time. Not scaled.
const FAREWELL: Duration = Duration::from_secs(3);
/// The same when it has to be quick. Not scaled.
const HURRIED_FAREWELL: Duration = Duration::from_millis(500);

/// How the balancer is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The configuration file.
    pub config: PathBuf,
    /// Divides every timer.
    pub scale: TimeScale,
    /// Whether listeners share their ports.
    pub port_sharing: PortSharing,
    /// How long open work may go on after a shutdown was asked for.
    pub drain: Duration,
}

/// The balancer cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// A port cannot be opened.
    #[error(
        "{setting}: cannot listen on {address}; is the port taken? Change `{setting}` or end what holds it"
    )]
    Bind {
        /// Path of the setting that says so.
        setting: String,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system refused something that every start needs.
    #[error("cannot start")]
    System(#[source] Box<dyn Error + Send + Sync>),
}

/// A reload that changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// A new port cannot be opened.
    #[error("{setting}: cannot listen on {address}")]
    Bind {
        /// Path of the setting that says so.
        setting: String,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A log writer cannot be started.
    #[error("cannot start a log")]
    AccessLog(#[source] std::io::Error),
}

/// A running balancer.
pub struct Server {
    options: Options,
    tickets: Arc<dyn ProducesTickets>,
    metrics: Arc<Metrics>,
    registry: Arc<Registry>,
    readiness: Arc<Readiness>,
    shared: Arc<Shared>,
    listeners: Listeners,
    logs: Logs,
    admin: Option<SocketAddr>,
    /// The configuration in force, without its warnings.
    in_force: Mutex<Option<Loaded>>,
    /// The files of the TLS side, as they looked before they were read last.
    tls_files: Mutex<Fingerprints>,
    /// Health checks, the admin API and the sweeper: what outlives the last request.
    background: TaskTracker,
    stopped: CancellationToken,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Server {
    /// Reads the configuration, opens all sockets and begins to serve.
    ///
    /// # Errors
    ///
    /// When the configuration or a socket is not to be had; nothing is left running then.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let system = |error: Box<dyn Error + Send + Sync>| StartError::System(error);
        let tickets = prepare::tickets().map_err(|error| system(error.into()))?;
        let prepared = prepare(&options.config, &tickets)?;
        let metrics = Metrics::try_new().map_err(|error| system(error.into()))?;
        count_panics(&metrics);
        let (background, stopped) = (TaskTracker::new(), CancellationToken::new());
        let registry =
            Arc::new(Registry::new(background.clone(), options.scale, Arc::clone(&metrics), stopped.clone()));
        let keys = Keys::generate(&mut rand::rng());
        let shared = Arc::new(Shared {
            authenticator: Arc::new(Authenticator::new(&keys, options.scale)),
            tracker: TaskTracker::new(),
            draining: CancellationToken::new(),
            terminated: CancellationToken::new(),
            connections: Arc::default(),
            stickiness_keys: ArcSwap::from_pointee(keys),
        });
        let admin = bind_admin(&prepared.model).await?;
        let server = Self {
            listeners: Listeners::new(Arc::clone(&shared), options.port_sharing),
            logs: Logs::default(),
            admin: prepared.model.admin.bind,
            readiness: Arc::new(Readiness::new()),
            in_force: Mutex::new(None),
            tls_files: Mutex::new(Fingerprints::default()),
            options,
            tickets,
            metrics,
            registry,
            shared,
            background,
            stopped,
        };
        server.apply(prepared).map_err(|error| match error {
            ReloadError::Bind { setting, address, source } => StartError::Bind { setting, address, source },
            ReloadError::Prepare(error) => StartError::Prepare(error),
            ReloadError::AccessLog(error) => system(error.into()),
        })?;
        server.run_background(admin);
        // Names that do not resolve are reported by the registry; they do not keep the others waiting.
        drop(tokio::time::timeout(RESOLVE_LIMIT, server.registry.resolved()).await);
        server.readiness.enter(Phase::Ready);
        Ok(server)
    }

    /// Reads the configuration again and makes it the one in force, or changes nothing.
    pub fn reload(&self) {
        let what = self.options.config.display().to_string();
        self.take(&what, || prepare(&self.options.config, &self.tickets));
    }

    /// Completes when a certificate, private key, trust store or revocation list in use was replaced or
    /// written to, and lay still for a second.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping the future, but the second is counted anew.
    pub async fn tls_files_changed(&self) {
        let mut before = self.tls_files.lock().again();
        loop {
            tokio::time::sleep(watch::INTERVAL).await;
            let seen = self.tls_files.lock().clone();
            let now = seen.again();
            if now != seen && now == before {
                return;
            }
            before = now;
        }
    }

    /// Reads the files of the TLS side again and makes them the ones in force, or changes nothing. The
    /// configuration file is not looked at.
    pub fn reload_tls_files(&self) {
        let Some(loaded) = self.in_force.lock().clone() else {
            return;
        };
        self.take("certificates and trust stores", || prepare::read(loaded, &self.tickets));
    }

    /// Makes what `prepare` reads the configuration in force, or says why that cannot be.
    fn take(&self, what: &str, prepare: impl FnOnce() -> Result<Prepared, PrepareError>) {
        // A file that is broken is not tried again before it changes again.
        let tls_files = self.tls_files.lock().again();
        *self.tls_files.lock() = tls_files;
        let reloaded = prepare().map_err(ReloadError::from).and_then(|prepared| self.apply(prepared));
        match reloaded {
            Ok(()) => {
                self.metrics.process().config_reloads.inc();
                tracing::info!(config = what, "configuration reloaded");
            }
            Err(error) => {
                self.metrics.process().config_reload_failures.inc();
                tracing::error!(
                    error = chain(&error),
                    "reload refused, the running configuration stays in force"
                );
            }
        }
    }

    fn apply(&self, prepared: Prepared) -> Result<(), ReloadError> {
        report_warnings(&prepared);
        let model = &prepared.model;
        if self.admin != model.admin.bind {
            tracing::warn!("admin.bind has changed: this takes effect at the next start");
        }
        let addresses = model.load_balancers.iter().flat_map(|load_balancer| &load_balancer.listeners);
        let bound = self.listeners.bind(addresses.map(|listener| listener.bind));
        let bound = bound.map_err(|BindError { address, source }| {
            let setting = setting_of(model, address);
            ReloadError::Bind { setting, address, source }
        })?;
        let scale = self.options.scale;
        let sinks = self.logs.apply(model, &self.metrics, scale).map_err(ReloadError::AccessLog)?;
        self.registry.log_health_checks(logs::health_checks(model, &sinks));
        let groups = self.registry.apply(model);
        let states = snapshot::listeners(&prepared, &groups, &sinks, &self.metrics, scale);
        if let Some(keys) = prepared.keys {
            self.shared.authenticator.set_keys(&keys);
            self.shared.stickiness_keys.store(Arc::new(keys));
        }
        self.listeners.apply(bound, states);
        *self.tls_files.lock() = prepared.tls_files;
        *self.in_force.lock() = Some(Loaded {
            model: prepared.model,
            warnings: Vec::new(),
            places: prepared.places,
            attributes: prepared.attributes,
        });
        Ok(())
    }

    fn run_background(&self, admin: Option<TcpListener>) {
        if let Some(listener) = admin {
            let state = AdminState {
                registry: Arc::clone(&self.registry),
                metrics: Arc::clone(&self.metrics),
                readiness: Arc::clone(&self.readiness),
                authenticator: Arc::clone(&self.shared.authenticator),
            };
            let serving = admin::serve(listener, state, self.background.clone(), self.stopped.clone());
            self.background.spawn(serving);
        }
        let (registry, stopped) = (Arc::clone(&self.registry), self.stopped.clone());
        let interval = self.options.scale.apply(SWEEP_INTERVAL);
        self.background.spawn(async move {
            let sweeping = async {
                loop {
                    tokio::time::sleep(interval).await;
                    registry.sweep_idle_connections(Instant::now());
                    registry.tick(Instant::now());
                }
            };
            stopped.run_until_cancelled(sweeping).await;
        });
    }

    /// Drains and ends: returns once everything has ended, or was cut at the end of the drain time or
    /// when `hurry` completed. Every record is written either way. Says whether there was time enough.
    pub async fn shutdown(self, hurry: impl Future<Output = ()>) -> bool {
        let drain = self.options.scale.apply(self.options.drain);
        tracing::info!(?drain, "draining");
        self.readiness.enter(Phase::Draining);
        self.shared.draining.cancel();
        self.shared.tracker.close();
        let hurried = tokio::select! {
            biased;
            () = self.shared.tracker.wait() => false,
            () = tokio::time::sleep(drain) => {
                tracing::info!(open = self.shared.tracker.len(), "drain time over, closing what is left");
                false
            }
            () = hurry => {
                tracing::warn!(open = self.shared.tracker.len(), "closing what is left at once");
                true
            }
        };
        let farewell = if hurried { HURRIED_FAREWELL } else { FAREWELL };
        self.shared.terminated.cancel();
        drop(tokio::time::timeout(farewell, self.shared.tracker.wait()).await);
        self.stopped.cancel();
        self.background.close();
        drop(tokio::time::timeout(farewell, self.background.wait()).await);
        self.logs.close(farewell).await;
        tracing::info!("stopped");
        !hurried
    }
}

async fn bind_admin(model: &Model) -> Result<Option<TcpListener>, StartError> {
    let Some(address) = model.admin.bind else {
        return Ok(None);
    };
    let bound = TcpListener::bind(address).await;
    bound.map(Some).map_err(|source| StartError::Bind { setting: "admin.bind".to_owned(), address, source })
}

/// Which setting says that an address is listened on.
fn setting_of(model: &Model, address: SocketAddr) -> String {
    let mut settings = model.load_balancers.iter().enumerate().flat_map(|(i, load_balancer)| {
        let listeners = load_balancer.listeners.iter().enumerate();
        listeners
            .map(move |(j, listener)| (listener.bind, format!("load_balancers[{i}].listeners[{j}].port")))
    });
    settings.find(|(bind, _)| *bind == address).map_or_else(String::new, |(_, setting)| setting)
}

fn report_warnings(prepared: &Prepared) {
    for warning in &prepared.warnings {
        tracing::warn!("{}", warning.in_file(&prepared.file));
    }
}

/// A panic ends only the task it arose in: it is logged and counted, and the process goes on.
fn count_panics(metrics: &Arc<Metrics>) {
    let metrics = Arc::clone(metrics);
    std::panic::set_hook(Box::new(move |panic| {
        metrics.process().panics.inc();
        tracing::error!(%panic, "panic");
    }));
}

/// An error with its sources, joined by colons.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// Wall clock for file names.
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

//! Composition root: start, reload, shutdown.
//!
//! A reload prepares everything first (files read, sockets bound) and then
//! swaps, or changes nothing.

mod certificate_ends;
mod faults;
mod logs;
pub mod prepare;
mod running;
mod shutdown;
mod snapshot;
mod succession;
mod tickets;
pub mod upgrade;
mod watch;

use std::{
    error::Error,
    net::SocketAddr,
    os::fd::{AsFd as _, OwnedFd},
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::{net::TcpListener, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    faults::FaultsOn,
    logs::Logs,
    prepare::{PrepareError, Purpose, prepare_source},
    running::{Changes, ReloadError, Running, in_force, report_warnings},
    tickets::{SessionTickets, TicketKeys},
    upgrade::{Carried, State},
    watch::{Fingerprints, Watched},
};
use crate::{
    admin::{self, AdminState, Control as _, Dashboard, Phase, Readiness},
    alb::state::Shared,
    authenticate::Authenticator,
    config::Source,
    listener::{Listeners, PortSharing, inherited::Inherited},
    metrics::Metrics,
    model::Model,
    nlb,
    stickiness::seal::{Keys, draw},
    target_groups::Registry,
    tasks::Tasks,
    time_scale::TimeScale,
    traces::Exports,
};

pub use self::watch::Change;

/// How often idle connections, weights of targets and bytes of flows are looked over, before time scaling.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// How long the first look-up of target host names may hold up readiness. Not scaled.
const RESOLVE_LIMIT: Duration = Duration::from_secs(5);

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

/// A running balancer.
pub struct Server {
    running: Arc<Running>,
    readiness: Arc<Readiness>,
    /// Health checks, connections to identity providers, the admin API and the sweeper: what outlives the
    /// last request.
    background: TaskTracker,
    stopped: CancellationToken,
    /// Cancelled when the admin API is to stop, with [`Self::stopped`] at the latest.
    admin_stopped: CancellationToken,
    /// The admin API's socket once more, for the process after this one.
    admin_socket: Option<OwnedFd>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("running", &self.running).finish_non_exhaustive()
    }
}

impl Server {
    /// Reads the configuration, opens all sockets and begins to serve.
    ///
    /// # Errors
    ///
    /// When the configuration or a socket is not to be had; nothing is left running then.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        Self::start_with(options, Inherited::default(), State::default()).await
    }

    /// The same with sockets that are open already, and with what the process before this one knew.
    ///
    /// # Errors
    ///
    /// When the configuration or a socket is not to be had; nothing is left running then.
    pub async fn start_with(
        options: Options,
        mut sockets: Inherited,
        state: State,
    ) -> Result<Self, StartError> {
        let system = |error: Box<dyn Error + Send + Sync>| StartError::System(error);
        let Carried { stickiness_key, tickets, mut overrides, known, upgrades } = state.into();
        let tickets = tickets.unwrap_or_else(|| TicketKeys::generate(SystemTime::now(), &mut rand::rng()));
        let session_tickets = Arc::new(SessionTickets::new(tickets));
        let tickets = Arc::clone(&session_tickets) as _;
        let configuration = Fingerprints::of_file(&options.config);
        let source = Source::read(&options.config).map_err(PrepareError::from)?;
        let prepared = prepare_source(source, &overrides, &tickets, Purpose::Serve)?;
        overrides.forget_missing(&prepared.model);
        let metrics = Metrics::try_new().map_err(|error| system(error.into()))?;
        metrics.process().upgrades.inc_by(upgrades);
        count_panics(&metrics);
        let (background, stopped) = (TaskTracker::new(), CancellationToken::new());
        let registry =
            Arc::new(Registry::new(background.clone(), options.scale, Arc::clone(&metrics), stopped.clone()));
        registry.begin_with(known);
        let stickiness_key = stickiness_key.unwrap_or_else(|| draw(&mut rand::rng()));
        let keys = Keys::new(&stickiness_key, &[]);
        let tasks = Tasks::new(background.clone(), stopped.clone());
        let shared = Arc::new(Shared {
            authenticator: Arc::new(Authenticator::new(&keys, options.scale, tasks)),
            tracker: TaskTracker::new(),
            draining: CancellationToken::new(),
            terminated: CancellationToken::new(),
            connections: Arc::default(),
            stickiness_keys: ArcSwap::from_pointee(keys),
        });
        let (tracker, terminated) = (shared.tracker.clone(), shared.terminated.clone());
        let network = Arc::new(nlb::Shared::new(tracker, background.clone(), terminated));
        let admin = bind_admin(&prepared.model, &mut sockets).await?;
        let admin_socket = admin.as_ref().and_then(|admin| admin.as_fd().try_clone_to_owned().ok());
        let in_force = in_force(&prepared, overrides);
        let port_sharing = options.port_sharing;
        let running = Arc::new(Running {
            listeners: Listeners::new(Arc::clone(&shared), Arc::clone(&network), port_sharing, sockets),
            network,
            logs: Logs::default(),
            traces: Exports::new(metrics.traces().clone(), options.scale, rand::random()),
            recent: Arc::default(),
            admin: prepared.model.admin.bind,
            options,
            stickiness_key,
            session_tickets,
            tickets,
            metrics,
            faults: FaultsOn::new(Instant::now()),
            registry,
            shared,
            changing: Mutex::new(Changes::Allowed),
            in_force: ArcSwap::from_pointee(in_force),
            watched: Mutex::new(Watched { configuration, ..Watched::default() }),
        });
        report_warnings(&prepared);
        running.apply(&prepared).map_err(|error| match error {
            ReloadError::Bind { setting, address, source } => StartError::Bind { setting, address, source },
            ReloadError::Prepare(error) => StartError::Prepare(error),
            ReloadError::AccessLog(_) | ReloadError::Upgrading => system(error.into()),
        })?;
        running.listeners.close_inherited();
        let admin_stopped = stopped.child_token();
        let readiness = Arc::new(Readiness::new());
        let server = Self { running, readiness, background, stopped, admin_stopped, admin_socket };
        server.run_background(admin);
        // Names that do not resolve are reported by the registry; they do not keep the others waiting.
        drop(tokio::time::timeout(RESOLVE_LIMIT, server.running.registry.resolved()).await);
        server.readiness.enter(Phase::Ready);
        Ok(server)
    }

    /// Reads the configuration again and makes it the one in force, or changes nothing. Says whether it is in
    /// force; why not is in the log.
    pub async fn reload(&self) -> bool {
        self.blocking(|running| running.reload().is_ok()).await.unwrap_or_default()
    }

    /// Completes when the configuration file, or a certificate, private key, trust store or revocation
    /// list in use, was replaced or written to, and lay still for a second.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping the future, but the second is counted anew.
    pub async fn files_changed(&self) -> Change {
        let mut before = None;
        loop {
            let looked = self.blocking(|running| {
                let read = running.watched.lock().clone();
                (read.again(), read)
            });
            if let Some((now, read)) = looked.await {
                if let Some(change) = before.and_then(|before| read.change(&before, &now)) {
                    return change;
                }
                before = Some(now);
            }
            tokio::time::sleep(watch::INTERVAL).await;
        }
    }

    /// Reads again what has changed, and makes it what is in force, or changes nothing.
    pub async fn take(&self, change: Change) {
        match change {
            Change::Configuration => drop(self.reload().await),
            Change::TlsFiles => self.blocking(Running::reload_tls_files).await.unwrap_or_default(),
        }
    }

    /// Does what reads files; `None` if it panicked, which is logged and counted.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Running) -> T + Send + 'static,
    ) -> Option<T> {
        let running = Arc::clone(&self.running);
        self.background.spawn_blocking(move || work(&running)).await.ok()
    }

    fn run_background(&self, admin: Option<TcpListener>) {
        let registry = Arc::clone(&self.running.registry);
        let network = Arc::clone(&self.running.network);
        let metrics = Arc::clone(&self.running.metrics);
        let running = Arc::clone(&self.running);
        if let Some(listener) = admin {
            let (scale, recent) = (self.running.options.scale, Arc::clone(&self.running.recent));
            let state = AdminState {
                registry: Arc::clone(&registry),
                metrics: Arc::clone(&self.running.metrics),
                readiness: Arc::clone(&self.readiness),
                authenticator: Arc::clone(&self.running.shared.authenticator),
                connections: Arc::clone(&self.running.shared.connections),
                flows: Arc::clone(&self.running.network.flows),
                control: Arc::clone(&self.running) as _,
                dashboard: Arc::new(Dashboard::new(wall_clock(), scale, recent)),
            };
            let stopped = self.admin_stopped.clone();
            let serving = admin::serve(listener, state, self.background.clone(), stopped);
            self.background.spawn(serving);
        }
        let stopped = self.stopped.clone();
        let interval = self.running.options.scale.apply(SWEEP_INTERVAL);
        self.background.spawn(async move {
            let sweeping = async {
                loop {
                    tokio::time::sleep(interval).await;
                    registry.sweep_idle_connections(Instant::now());
                    registry.tick(Instant::now());
                    network.flows.sweep(Instant::now());
                    running.faults.remind(Instant::now());
                    metrics.process().follow_early_resets(network.forgotten.displaced());
                }
            };
            stopped.run_until_cancelled(sweeping).await;
        });
    }
}

async fn bind_admin(model: &Model, sockets: &mut Inherited) -> Result<Option<TcpListener>, StartError> {
    let Some(address) = model.admin.bind else {
        return Ok(None);
    };
    let bound = match sockets.take(address) {
        Some(inherited) => inherited.set_nonblocking(true).and_then(|()| TcpListener::from_std(inherited)),
        None => TcpListener::bind(address).await,
    };
    bound.map(Some).map_err(|source| StartError::Bind { setting: "admin.bind".to_owned(), address, source })
}

/// A panic ends only the task it arose in: it is logged and counted, and the process goes on.
fn count_panics(metrics: &Arc<Metrics>) {
    let metrics = Arc::clone(metrics);
    std::panic::set_hook(Box::new(move |panic| {
        metrics.process().panics.inc();
        tracing::error!(%panic, "panic");
    }));
}

/// Wall clock for file names.
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

//! All target groups of the process, by name.

use std::{collections::HashMap, fmt, mem, sync::Arc};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Group, HealthCheckLogs, Known, Resolver, SystemResolver};
use crate::{
    health::{Checker, HttpChecker},
    metrics::Metrics,
    model::{Model, TargetGroupIndex, rule::Actions},
    time_scale::TimeScale,
};

/// What the groups work with: tasks, time, counters, and the two ways to the outside world.
pub struct Environment {
    /// Awaited at shutdown: every task of the registry is in it.
    pub tracker: TaskTracker,
    /// Divides intervals, timeouts and the deregistration delay.
    pub scale: TimeScale,
    /// Where host counts and DNS failures go.
    pub metrics: Arc<Metrics>,
    /// Ends checks, lookups and draining. To be cancelled after the last request has ended.
    pub shutdown: CancellationToken,
    /// Makes the health checks.
    pub checker: Box<dyn Checker>,
    /// Looks target host names up.
    pub resolver: Box<dyn Resolver>,
    /// Where health checks are logged; replaced on reload.
    pub health_check_logs: ArcSwap<HealthCheckLogs>,
    /// Told after every change of membership or health.
    pub changes: watch::Sender<()>,
}

impl Environment {
    /// Health checks over HTTP, HTTPS and gRPC, and the operating system's resolver.
    #[must_use]
    pub fn new(
        tracker: TaskTracker,
        scale: TimeScale,
        metrics: Arc<Metrics>,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            tracker,
            scale,
            metrics,
            shutdown,
            checker: Box::<HttpChecker>::default(),
            resolver: Box::new(SystemResolver),
            health_check_logs: ArcSwap::default(),
            changes: watch::Sender::new(()),
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("scale", &self.scale).finish_non_exhaustive()
    }
}

/// The runtime state of all target groups. Outlives reloads.
#[derive(Debug)]
pub struct Registry {
    environment: Arc<Environment>,
    groups: Mutex<HashMap<String, Arc<Group>>>,
    /// Of the process before this one, for the first model.
    known: Mutex<HashMap<String, Known>>,
}

impl Registry {
    /// An empty registry with the usual [`Environment`].
    #[must_use]
    pub fn new(
        tracker: TaskTracker,
        scale: TimeScale,
        metrics: Arc<Metrics>,
        shutdown: CancellationToken,
    ) -> Self {
        Self::with_environment(Environment::new(tracker, scale, metrics, shutdown))
    }

    /// An empty registry.
    #[must_use]
    pub fn with_environment(environment: Environment) -> Self {
        Self {
            environment: Arc::new(environment),
            groups: Mutex::new(HashMap::new()),
            known: Mutex::new(HashMap::new()),
        }
    }

    /// The targets of the first model begin with what is known of them.
    pub fn begin_with(&self, known: HashMap<String, Known>) {
        *self.known.lock() = known;
    }

    /// Brings the groups in line with `model` and returns them in the order of
    /// [`Model::target_groups`].
    ///
    /// Health and work in flight survive. A changed health check begins anew
    /// with the health known so far. Removed targets drain. Must be called
    /// within a Tokio runtime; the model may be swapped in afterwards, for a
    /// group that left it still serves requests routed before.
    pub fn apply(&self, model: &Model) -> Vec<Arc<Group>> {
        let mut groups = self.groups.lock();
        let mut known = mem::take(&mut *self.known.lock());
        groups.retain(|_, group| !group.is_gone());
        let applied: Vec<Arc<Group>> = model
            .target_groups
            .iter()
            .enumerate()
            .map(|(index, settings)| {
                let group = groups
                    .entry(settings.name.clone())
                    .or_insert_with(|| Group::new(Arc::clone(&self.environment), settings));
                let known = known.remove(&settings.name).unwrap_or_default();
                group.apply(settings, users(model, TargetGroupIndex(index)), &known);
                Arc::clone(group)
            })
            .collect();
        let left = |name: &str| !model.target_groups.iter().any(|settings| settings.name == name);
        groups.iter().filter(|(name, _)| left(name)).for_each(|(_, group)| group.remove());
        applied
    }

    /// From now on health checks are logged there.
    pub fn log_health_checks(&self, logs: HealthCheckLogs) {
        self.environment.health_check_logs.store(Arc::new(logs));
    }

    /// All groups by name, those included that left the configuration and still drain.
    #[must_use]
    pub fn groups(&self) -> Vec<Arc<Group>> {
        let groups = self.groups.lock();
        let mut groups: Vec<_> = groups.values().filter(|group| !group.is_gone()).cloned().collect();
        groups.sort_unstable_by(|a, b| a.name().cmp(b.name()));
        groups
    }

    /// Brings `RequestCountPerTarget` of all groups up to date: to be called before metrics are read.
    pub fn settle_request_counts(&self) {
        for group in self.groups() {
            group.settle_request_counts();
        }
    }

    /// Closes idle connections to targets that have expired or that the target has closed.
    pub fn sweep_idle_connections(&self, now: Instant) {
        for group in self.groups() {
            group.sweep_idle_connections(now);
        }
    }

    /// Lets weights follow the time, and ends unhealthy draining intervals: to be called once a second, divided by the time scale.
    pub fn tick(&self, now: Instant) {
        for group in self.groups() {
            group.tick(now);
        }
    }

    /// Told after every change of membership or health of any group.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.environment.changes.subscribe()
    }

    /// Waits until every target host name was looked up once, with or without success.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping the future: to be used under a timeout.
    pub async fn resolved(&self) {
        let mut changes = self.changes();
        while !self.groups().iter().all(|group| group.is_resolved()) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Log names of the load balancers with an action that forwards to the group.
fn users(model: &Model, index: TargetGroupIndex) -> Vec<String> {
    let forwards = |actions: &Actions| actions.action.target_groups().any(|group| group == index);
    let uses = |listener: &crate::model::Listener| {
        forwards(&listener.default_actions) || listener.rules.iter().any(|rule| forwards(&rule.actions))
    };
    let users = model.load_balancers.iter().filter(|balancer| balancer.listeners.iter().any(uses));
    users.map(|balancer| balancer.log_name.clone()).collect()
}

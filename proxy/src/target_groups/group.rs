//! One target group at run time.

use std::{
    mem,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicUsize},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    Environment, NoTarget, Selected, Target, checks,
    resolve::{self, Host},
    select::Selection,
};
use crate::{
    health::{Health, Outcome, Reason, State, Thresholds, Tracker},
    metrics::TargetGroupMetrics,
    model::{
        HealthCheck, TargetGroup,
        target_group::{TargetGroupAttributes, TargetId},
    },
};

/// A target group: its targets, and the choice among them.
#[derive(Debug)]
pub struct Group {
    name: String,
    arn: String,
    environment: Arc<Environment>,
    selection: ArcSwap<Selection>,
    cursor: AtomicUsize,
    members: Mutex<Members>,
}

/// What changes under the lock; every change ends with a new [`Selection`].
#[derive(Debug)]
struct Members {
    settings: TargetGroup,
    health_check: Arc<HealthCheck>,
    /// Log names of the load balancers that forward to the group. Without any the group is not in use.
    load_balancers: Vec<String>,
    gauges: Vec<Arc<TargetGroupMetrics>>,
    hosts: Vec<Host>,
    /// Ordered by address.
    registered: Vec<Arc<Target>>,
    draining: Vec<Arc<Target>>,
    /// Stops all running health checks of the group's registered targets, one token each.
    checks: Vec<(SocketAddr, CancellationToken)>,
    /// Removed from the configuration: what is left drains.
    removed: bool,
}

/// `TargetHealthDescription` with the work in flight, for people and tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetDescription {
    /// Address and port of the traffic.
    pub addr: SocketAddr,
    /// State and reason.
    pub health: Health,
    /// Requests and tunnels in progress.
    pub outstanding: u32,
}

impl Group {
    /// A group without targets; [`Self::apply`] fills it.
    pub(super) fn new(environment: Arc<Environment>, settings: &TargetGroup) -> Arc<Self> {
        let selection = Selection::new(&settings.attributes, &[], &[]);
        Arc::new(Self {
            name: settings.name.clone(),
            arn: settings.arn.clone(),
            environment,
            selection: ArcSwap::from_pointee(selection),
            cursor: AtomicUsize::new(0),
            members: Mutex::new(Members {
                health_check: Arc::new(settings.health_check.clone()),
                settings: settings.clone(),
                load_balancers: Vec::new(),
                gauges: Vec::new(),
                hosts: Vec::new(),
                registered: Vec::new(),
                draining: Vec::new(),
                checks: Vec::new(),
                removed: false,
            }),
        })
    }

    /// Name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// ARN-like name.
    #[must_use]
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// Chooses the target of a new request. `sticky` is the address in its opened, unexpired
    /// stickiness cookie. Takes no lock and allocates nothing.
    ///
    /// # Errors
    /// [`NoTarget`] when no target is registered.
    pub fn select(&self, sticky: Option<SocketAddr>) -> Result<Selected, NoTarget> {
        self.selection.load().select(&self.cursor, sticky)
    }

    /// All registered targets by address, then the draining ones in the order they began to drain.
    #[must_use]
    pub fn describe(&self) -> Vec<TargetDescription> {
        let members = self.members.lock();
        let describe = |target: &Arc<Target>| TargetDescription {
            addr: target.addr(),
            health: target.health(),
            outstanding: target.outstanding(),
        };
        members.registered.iter().chain(&members.draining).map(describe).collect()
    }

    /// Closes idle connections that have expired or that the target has closed; all of those to
    /// targets that drain, which get no new requests.
    pub(super) fn sweep_idle_connections(&self, now: Instant) {
        let members = self.members.lock();
        members.registered.iter().for_each(|target| target.pool().sweep(now));
        members.draining.iter().for_each(|target| target.pool().clear());
    }

    /// Whether every host name of the group was looked up at least once.
    pub(super) fn is_resolved(&self) -> bool {
        self.members.lock().hosts.iter().all(|host| host.addresses.is_some())
    }

    /// Whether the group left the configuration and nothing of it drains any more.
    pub(super) fn is_gone(&self) -> bool {
        let members = self.members.lock();
        members.removed && members.draining.is_empty()
    }

    /// Takes over settings and targets; `load_balancers` are the log names of those that use it.
    pub(super) fn apply(self: &Arc<Self>, settings: &TargetGroup, load_balancers: Vec<String>) {
        let mut members = self.members.lock();
        members.removed = false;
        self.use_by(&mut members, settings, load_balancers);
        if *members.health_check != settings.health_check {
            members.health_check = Arc::new(settings.health_check.clone());
            members.stop_checks();
        }
        members.settings = settings.clone();
        self.watch_hosts(&mut members);
        self.reconcile(&mut members);
    }

    /// The group left the configuration: all its targets are deregistered.
    ///
    /// The selection stays as it is, for requests that were routed by the
    /// configuration before: they still get a target, not a 503.
    pub(super) fn remove(self: &Arc<Self>) {
        let mut members = self.members.lock();
        if members.removed {
            return;
        }
        members.removed = true;
        members.stop_checks();
        members.hosts.drain(..).for_each(|host| host.stop.cancel());
        for target in mem::take(&mut members.registered) {
            self.drain(&mut members, target);
        }
        for load_balancer in mem::take(&mut members.load_balancers) {
            self.environment.metrics.forget_host_counts(&load_balancer, &members.settings.metric_name);
        }
        members.gauges.clear();
        self.environment.changes.send_replace(());
    }

    /// A lookup of a host name ended; `None` keeps the last answer.
    pub(super) fn handle_resolved(
        self: &Arc<Self>,
        host: &str,
        port: u16,
        addresses: Option<Vec<SocketAddr>>,
    ) {
        let mut members = self.members.lock();
        let Some(entry) = members.hosts.iter_mut().find(|entry| entry.name == host && entry.port == port)
        else {
            return;
        };
        let first = entry.addresses.is_none();
        let known = entry.addresses.get_or_insert_default();
        if let Some(addresses) = addresses
            && *known != addresses
        {
            *known = addresses;
            self.reconcile(&mut members);
        }
        if first {
            self.environment.changes.send_replace(());
        }
    }

    /// A health check of `target` ended.
    pub(super) fn handle_outcome(&self, target: &Target, outcome: Outcome, thresholds: Thresholds) {
        if target.track(|tracker| tracker.handle_outcome(outcome, thresholds)) {
            self.log(target);
            self.publish(&self.members.lock());
        }
    }

    /// Points the gauges to the load balancers that use the group now.
    fn use_by(&self, members: &mut Members, settings: &TargetGroup, load_balancers: Vec<String>) {
        if members.load_balancers == load_balancers {
            return;
        }
        let metrics = &self.environment.metrics;
        for load_balancer in &members.load_balancers {
            metrics.forget_host_counts(load_balancer, &settings.metric_name);
        }
        let gauge = |load_balancer: &String| metrics.target_group(load_balancer, &settings.metric_name);
        members.gauges = load_balancers.iter().map(gauge).collect();
        members.load_balancers = load_balancers;
    }

    /// Starts and stops lookups so that they are those of the configured host names.
    fn watch_hosts(self: &Arc<Self>, members: &mut Members) {
        let Members { hosts, settings, .. } = members;
        hosts.retain(|host| {
            let wanted = settings.targets.iter().any(|target| host.is(&target.id, target.port));
            if !wanted {
                host.stop.cancel();
            }
            wanted
        });
        for target in &settings.targets {
            let TargetId::HostName(name) = &target.id else { continue };
            if hosts.iter().any(|host| host.is(&target.id, target.port)) {
                continue;
            }
            let stop = self.environment.shutdown.child_token();
            let host = Host { name: name.clone(), port: target.port, addresses: None, stop: stop.clone() };
            hosts.push(host);
            self.environment.tracker.spawn(resolve::watch(
                Arc::clone(&self.environment),
                Arc::downgrade(self),
                (name.clone(), target.port),
                stop,
            ));
        }
    }

    /// Registers and deregisters so that the registered targets are the wanted ones, then publishes.
    fn reconcile(self: &Arc<Self>, members: &mut Members) {
        let wanted = members.wanted();
        let (kept, left): (Vec<_>, Vec<_>) = mem::take(&mut members.registered)
            .into_iter()
            .partition(|target| wanted.binary_search(&target.addr()).is_ok());
        members.registered = kept;
        for target in left {
            self.drain(members, target);
        }
        for addr in wanted {
            if let Err(place) = members.registered.binary_search_by_key(&addr, |target| target.addr()) {
                let target = Target::new(addr);
                self.log(&target);
                members.registered.insert(place, target);
            }
        }
        if members.load_balancers.is_empty() {
            members.stop_checks();
            for target in &members.registered {
                target.track(Tracker::handle_not_in_use);
            }
        } else {
            self.start_checks(members);
        }
        self.publish(members);
    }

    /// Checks every registered target that is not being checked.
    fn start_checks(self: &Arc<Self>, members: &mut Members) {
        for (place, target) in members.registered.iter().enumerate() {
            if members.checks.iter().any(|(addr, _)| *addr == target.addr()) {
                continue;
            }
            let stop = self.environment.shutdown.child_token();
            members.checks.push((target.addr(), stop.clone()));
            target.track(Tracker::handle_checks_started);
            let member = (Arc::downgrade(self), Arc::clone(target));
            checks::start(&self.environment, member, &members.health_check, place, stop);
        }
    }

    /// Begins the deregistration of a target: no new requests, and the end of all others after the delay.
    fn drain(self: &Arc<Self>, members: &mut Members, target: Arc<Target>) {
        members.checks.retain(|(addr, stop)| {
            let other = *addr != target.addr();
            if !other {
                stop.cancel();
            }
            other
        });
        target.track(Tracker::handle_deregistered);
        self.log(&target);
        members.draining.push(Arc::clone(&target));
        let delay = self.environment.scale.apply(members.settings.attributes.deregistration_delay);
        let group = Arc::clone(self);
        self.environment.tracker.spawn(async move {
            tokio::select! {
                () = group.environment.shutdown.cancelled() => {}
                () = sleep(delay) => group.end_deregistration(&target),
            }
        });
    }

    fn end_deregistration(&self, target: &Arc<Target>) {
        let mut members = self.members.lock();
        members.draining.retain(|draining| !Arc::ptr_eq(draining, target));
        target.track(Tracker::handle_delay_over);
        self.log(target);
        target.terminated().cancel();
        if members.removed {
            self.environment.changes.send_replace(());
        } else {
            self.publish(&members);
        }
    }

    /// Makes the present members the ones that requests choose from.
    fn publish(&self, members: &Members) {
        if members.removed {
            return;
        }
        let attributes: &TargetGroupAttributes = &members.settings.attributes;
        self.selection.store(Arc::new(Selection::new(attributes, &members.registered, &members.draining)));
        let count = |state| {
            let in_state = members.registered.iter().filter(|target| target.health().state == state).count();
            i64::try_from(in_state).unwrap_or(i64::MAX)
        };
        for gauges in &members.gauges {
            gauges.healthy_host_count.set(count(State::Healthy));
            gauges.unhealthy_host_count.set(count(State::Unhealthy));
        }
        self.environment.changes.send_replace(());
    }

    fn log(&self, target: &Target) {
        let Health { state, reason } = target.health();
        tracing::info!(
            target_group = self.name,
            target = %target.addr(),
            state = state.as_str(),
            reason = reason.map(Reason::code),
            "target health changed"
        );
    }
}

impl Members {
    /// The addresses that should be registered, ordered, each once.
    fn wanted(&self) -> Vec<SocketAddr> {
        let mut wanted: Vec<SocketAddr> =
            self.hosts.iter().filter_map(|host| host.addresses.as_deref()).flatten().copied().collect();
        wanted.extend(self.settings.targets.iter().filter_map(|target| match target.id {
            TargetId::Ip(ip) => Some(SocketAddr::new(ip, target.port)),
            TargetId::HostName(_) => None,
        }));
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    fn stop_checks(&mut self) {
        for (_, stop) in self.checks.drain(..) {
            stop.cancel();
        }
    }
}

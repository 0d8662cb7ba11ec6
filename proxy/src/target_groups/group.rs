//! One target group at run time.

use std::{
    mem,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicUsize},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::{
    Environment, Known, NoTarget, Selected, Target,
    check_log::Checked,
    checks,
    members::Members,
    per_target::PerTarget,
    resolve::{self, Host},
    select::Selection,
};
use crate::{
    balance::{anomaly::AnomalyDetection, flow_hash::FlowKey},
    health::{Forced, Health, Outcome, Reason, Thresholds, Tracker},
    model::{TargetGroup, arn, target_group::TargetId},
    time_scale::TimeScale,
};

/// A target group: its targets, and the choice among them.
#[derive(Debug)]
pub struct Group {
    name: String,
    environment: Arc<Environment>,
    selection: ArcSwap<Selection>,
    cursor: AtomicUsize,
    members: Mutex<Members>,
}

/// `TargetHealthDescription` with the work in flight, for people and tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetDescription {
    /// Address and port of the traffic.
    pub addr: SocketAddr,
    /// Name of the application load balancer that it is, if it is of type `alb`.
    pub load_balancer: Option<String>,
    /// State and reason.
    pub health: Health,
    /// What an operator said of it.
    pub forced: Option<Forced>,
    /// Requests and tunnels in progress.
    pub outstanding: u32,
    /// Requests, tunnels and flows since it was registered.
    pub request_count: u64,
    /// Requests that went to it because of a stickiness cookie.
    pub sticky_request_count: u64,
    /// WebSockets that are open now.
    pub open_websockets: u32,
    /// When its deregistration delay is over, if it drains.
    pub drained_at: Option<Instant>,
    /// `AnomalyDetection`; `None` for a target that drains.
    pub anomaly_detection: Option<AnomalyDetection>,
}

impl Group {
    /// A group without targets; [`Self::apply`] fills it.
    pub(super) fn new(environment: Arc<Environment>, settings: &TargetGroup) -> Arc<Self> {
        let members = Members::new(settings);
        Arc::new(Self {
            name: settings.name.clone(),
            environment,
            selection: ArcSwap::from_pointee(members.selection()),
            cursor: AtomicUsize::new(0),
            members: Mutex::new(members),
        })
    }

    /// Name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// ARN-like name, which changes with account and region.
    #[must_use]
    pub fn arn(&self) -> String {
        self.members.lock().settings.arn.clone()
    }

    /// Chooses the target of a new request. `sticky` is the address in its opened, unexpired
    /// stickiness cookie; `draw` gives random numbers, and is asked only by `weighted_random`. Takes
    /// no lock and allocates nothing.
    ///
    /// # Errors
    /// [`NoTarget`] when no target is registered.
    pub fn select(
        &self,
        sticky: Option<SocketAddr>,
        draw: impl FnOnce() -> u32,
    ) -> Result<Selected, NoTarget> {
        self.selection.load().select(&self.cursor, sticky, draw)
    }

    /// Chooses the target of a new flow of a network load balancer: by the client's address if the group has
    /// `source_ip` stickiness, else by the flow hash. Takes no lock and allocates nothing.
    ///
    /// # Errors
    /// [`NoTarget`] when no target is registered.
    pub fn select_flow(&self, key: &FlowKey) -> Result<Selected, NoTarget> {
        self.selection.load().select_flow(key)
    }

    /// Runs what drives a connection to a target, until it ends or the last request of the process has.
    pub fn spawn_connection(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.environment.shutdown.clone();
        self.environment.tracker.spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = connection => {}
            }
        });
    }

    /// All registered targets by address, then the draining ones in the order they began to drain.
    #[must_use]
    pub fn describe(&self) -> Vec<TargetDescription> {
        self.members.lock().describe()
    }

    /// The registered addresses, those that drain left out.
    #[must_use]
    pub fn registered(&self) -> Vec<SocketAddr> {
        self.members.lock().registered.iter().map(|member| member.target.addr()).collect()
    }

    /// Forces the health of the registered target `addr`, or leaves it to its checks again. False if there
    /// is no such target.
    ///
    /// Lasts as long as the target is registered; reloads do not change it.
    pub fn force_health(&self, addr: SocketAddr, forced: Option<Forced>) -> bool {
        let mut members = self.members.lock();
        let place = members.registered.binary_search_by_key(&addr, |member| member.target.addr());
        let Some(member) = place.ok().and_then(|place| members.registered.get(place)) else {
            return false;
        };
        let target = Arc::clone(&member.target);
        self.change_health(&mut members, &target, |tracker| tracker.handle_forced(forced));
        true
    }

    /// Brings `RequestCountPerTarget` up to date.
    pub(super) fn settle_request_counts(&self) {
        let mut members = self.members.lock();
        let Members { per_target, metrics, .. } = &mut *members;
        per_target.settle(metrics, self.selection.load().usable());
    }

    /// Closes idle connections that have expired or that the target has closed; all of those to
    /// targets that drain, which get no new requests.
    pub(super) fn sweep_idle_connections(&self, now: Instant) {
        let members = self.members.lock();
        members.registered.iter().for_each(|registered| registered.target.sweep_idle_connections(now));
        members.draining.iter().for_each(|target| target.close_idle_connections());
    }

    /// Lets shares that grow with time grow, has anomaly detection judge when its interval is over, and ends
    /// unhealthy draining intervals.
    pub(super) fn tick(&self, now: Instant) {
        let mut members = self.members.lock();
        members.count_overdue();
        if members.removed {
            return;
        }
        self.end_unhealthy_draining(&mut members, now);
        let scale = self.environment.scale;
        let has_judged = members.judge(now, scale);
        let has_ramped = members.ramp(now, scale);
        if has_judged || has_ramped {
            self.selection.store(Arc::new(members.selection()));
            members.count_hosts();
        }
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

    /// Takes over settings and targets, of which new ones begin with what is `known` of them;
    /// `load_balancers` are the log names of those that use it.
    pub(super) fn apply(
        self: &Arc<Self>,
        settings: &TargetGroup,
        load_balancers: Vec<String>,
        known: &Known,
    ) {
        let mut members = self.members.lock();
        members.removed = false;
        self.set_load_balancers(&mut members, load_balancers);
        members.set(settings);
        self.watch_hosts(&mut members, known);
        self.reconcile(&mut members, known);
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
        members.hosts.clear();
        for member in mem::take(&mut members.registered) {
            self.drain(&mut members, member.target);
        }
        self.set_load_balancers(&mut members, Vec::new());
        self.environment.changes.send_replace(());
    }

    /// A lookup of a host name ended; `None` keeps the last answer.
    pub(super) fn handle_resolved(
        self: &Arc<Self>,
        (name, port): (&str, u16),
        addresses: Option<Vec<SocketAddr>>,
    ) {
        let mut members = self.members.lock();
        let Some(host) = members.hosts.iter_mut().find(|host| host.name == name && host.port == port) else {
            return;
        };
        let first = host.addresses.is_none();
        let known = host.addresses.get_or_insert_default();
        if let Some(addresses) = addresses
            && *known != addresses
        {
            *known = addresses;
            self.reconcile(&mut members, &Known::default());
        }
        if first {
            self.environment.changes.send_replace(());
        }
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Lets `change` change the members, and publishes if it says so.
    pub(super) fn change_members(&self, change: impl FnOnce(&mut Members) -> bool) {
        let mut members = self.members.lock();
        if change(&mut members) {
            self.publish(&mut members);
        }
    }

    /// What durations are divided by.
    pub(super) fn scale(&self) -> TimeScale {
        self.environment.scale
    }

    /// Whether all targets get traffic because too few are healthy.
    pub(super) fn fails_open(&self) -> bool {
        self.selection.load().fails_open()
    }

    /// Writes a health check into the logs of the load balancers that use the group.
    pub(super) fn log_check(&self, checked: &Checked) {
        let logs = self.environment.health_check_logs.load();
        if !logs.0.is_empty() {
            logs.write(checked, &self.name, &self.members.lock().load_balancers);
        }
    }

    /// A health check of `target` ended.
    pub(super) fn handle_outcome(&self, target: &Arc<Target>, outcome: Outcome, thresholds: Thresholds) {
        let mut members = self.members.lock();
        self.change_health(&mut members, target, |tracker| tracker.handle_outcome(outcome, thresholds));
    }

    /// Points the host counts to the load balancers that use the group now.
    fn set_load_balancers(&self, members: &mut Members, load_balancers: Vec<String>) {
        if members.load_balancers == load_balancers {
            return;
        }
        let metrics = &self.environment.metrics;
        let group = &members.settings.metric_name;
        for load_balancer in &members.load_balancers {
            metrics.forget_host_counts(load_balancer, group);
        }
        members.host_counts = load_balancers.iter().map(|name| metrics.host_counts(name, group)).collect();
        let application = load_balancers.iter().filter(|name| !arn::is_network(name));
        members.metrics = application.map(|name| metrics.target_group(name, group)).collect();
        members.per_target = PerTarget::begin(&members.metrics);
        members.load_balancers = load_balancers;
    }

    /// Starts the lookups of host names that are new.
    fn watch_hosts(self: &Arc<Self>, members: &mut Members, known: &Known) {
        let Members { hosts, settings, .. } = members;
        for target in &settings.targets {
            let TargetId::HostName(name) = &target.id else { continue };
            if hosts.iter().any(|host| host.is(&target.id, target.port)) {
                continue;
            }
            let stop = self.environment.shutdown.child_token();
            self.environment.tracker.spawn(resolve::watch(
                Arc::clone(&self.environment),
                Arc::downgrade(self),
                (name.clone(), target.port),
                stop.clone(),
            ));
            hosts.push(Host {
                name: name.clone(),
                port: target.port,
                addresses: known.addresses(name, target.port),
                _lookups: stop.drop_guard(),
            });
        }
    }

    /// Registers and deregisters so that the registered targets are the wanted ones, then publishes.
    fn reconcile(self: &Arc<Self>, members: &mut Members, known: &Known) {
        let (came, left) = members.reconcile();
        for target in &came {
            known.tell(target);
            self.log(target);
        }
        for target in left {
            self.drain(members, target);
        }
        if members.load_balancers.is_empty() {
            members.stop_checks();
            for member in &members.registered {
                member.target.track(Tracker::handle_not_in_use);
            }
        } else {
            self.start_checks(members);
        }
        self.publish(members);
    }

    /// Checks every registered target that is not being checked.
    fn start_checks(self: &Arc<Self>, members: &mut Members) {
        for (place, member) in members.registered.iter_mut().enumerate() {
            if member.checks.is_some() {
                continue;
            }
            member.target.track(Tracker::handle_checks_started);
            let stop = self.environment.shutdown.child_token();
            member.checks = Some(stop.clone().drop_guard());
            let subject = (Arc::downgrade(self), Arc::clone(&member.target));
            checks::start(&self.environment, subject, &members.health_check, place, stop);
        }
    }

    /// Begins the deregistration of a target: no new requests, and the end of all others after the delay.
    fn drain(self: &Arc<Self>, members: &mut Members, target: Arc<Target>) {
        self.deregister_late(members, &target);
        target.track(Tracker::handle_deregistered);
        self.log(&target);
        members.draining.push(Arc::clone(&target));
        let delay = self.environment.scale.apply(members.settings.attributes.deregistration_delay);
        target.drain_until(Instant::now() + delay);
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
        members.forget_lagging(target);
        members.overdue.push(Arc::downgrade(target));
        target.track(Tracker::handle_delay_over);
        self.log(target);
        if members.terminates_deregistered() {
            target.terminate();
        }
        self.publish(&mut members);
    }

    /// Makes the present members the ones that requests choose from.
    pub(super) fn publish(&self, members: &mut Members) {
        if !members.removed {
            members.ramp(Instant::now(), self.environment.scale);
            let selection = members.selection();
            members.per_target.settle(&members.metrics, selection.usable());
            self.selection.store(Arc::new(selection));
            members.count_hosts();
        }
        self.environment.changes.send_replace(());
    }

    pub(super) fn log(&self, target: &Target) {
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

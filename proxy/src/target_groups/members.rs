//! Who belongs to a target group: what changes under the group's lock. No tasks, no I/O.

use std::{
    collections::BTreeMap,
    mem,
    net::SocketAddr,
    sync::{Arc, Weak},
};

use tokio::time::Instant;
use tokio_util::sync::DropGuard;

use super::{
    Target, TargetDescription, per_target::PerTarget, resolve::Host, select::Selection, weights::Weight,
};
use crate::{
    health::State,
    metrics::{HostCountMetrics, TargetGroupMetrics},
    model::{HealthCheck, TargetGroup, target_group::TargetId},
};

/// Settings, registered and draining targets of a group. Every change ends with a new [`Selection`].
#[derive(Debug)]
pub(super) struct Members {
    /// As configured last.
    pub(super) settings: TargetGroup,
    /// The health check of `settings`, shared with the running checks.
    pub(super) health_check: Arc<HealthCheck>,
    /// Log names of the load balancers that forward to the group. Without any the group is not in use.
    pub(super) load_balancers: Vec<String>,
    /// Where host counts go, one for each of `load_balancers`.
    pub(super) host_counts: Vec<HostCountMetrics>,
    /// What else is counted, one for each Application Load Balancer among them.
    pub(super) metrics: Vec<Arc<TargetGroupMetrics>>,
    /// Divides the request counts in `metrics` by targets.
    pub(super) per_target: PerTarget,
    /// Host names among the configured targets.
    pub(super) hosts: Vec<Host>,
    /// Ordered by address.
    pub(super) registered: Vec<Registered>,
    /// In the order they began to drain.
    pub(super) draining: Vec<Arc<Target>>,
    /// Those that had work in flight when their deregistration delay ended.
    pub(super) overdue: Vec<Weak<Target>>,
    /// Deregistered, but chosen yet: a fault on purpose.
    pub(super) lagging: Vec<Arc<Target>>,
    /// When anomaly detection judges the targets again; `None` before the first time.
    pub(super) next_judgement: Option<Instant>,
    /// The group left the configuration: what is left of it drains.
    pub(super) removed: bool,
}

/// A registered target.
#[derive(Debug)]
pub(super) struct Registered {
    /// The target.
    pub(super) target: Arc<Target>,
    /// Ends its health checks when dropped. `None`: it is not being checked.
    pub(super) checks: Option<DropGuard>,
    /// What its share of the requests depends on.
    pub(super) weight: Weight,
}

impl Registered {
    /// Whether it is healthy now.
    pub(super) fn is_healthy(&self) -> bool {
        self.target.health().state == State::Healthy
    }
}

impl Members {
    /// A group that has no targets yet.
    pub(super) fn new(settings: &TargetGroup) -> Self {
        Self {
            health_check: Arc::new(settings.health_check.clone()),
            settings: settings.clone(),
            load_balancers: Vec::new(),
            host_counts: Vec::new(),
            metrics: Vec::new(),
            per_target: PerTarget::default(),
            hosts: Vec::new(),
            registered: Vec::new(),
            draining: Vec::new(),
            overdue: Vec::new(),
            lagging: Vec::new(),
            next_judgement: None,
            removed: false,
        }
    }

    /// Takes over new settings. A changed health check ends the running ones.
    pub(super) fn set(&mut self, settings: &TargetGroup) {
        if *self.health_check != settings.health_check {
            self.health_check = Arc::new(settings.health_check.clone());
            self.stop_checks();
        }
        self.settings = settings.clone();
        if settings.attributes.faults.deregistration_propagation.is_zero() {
            self.lagging.clear();
        }
        let targets = &self.settings.targets;
        self.hosts.retain(|host| targets.iter().any(|target| host.is(&target.id, target.port)));
    }

    /// Makes the registered targets the wanted ones; returns those that came and those that left.
    pub(super) fn reconcile(&mut self) -> (Vec<Arc<Target>>, Vec<Arc<Target>>) {
        let wanted = self.wanted();
        let (kept, left): (Vec<_>, Vec<_>) =
            mem::take(&mut self.registered).into_iter().partition(|Registered { target, .. }| {
                wanted.get(&target.addr()).is_some_and(|it| it.as_deref() == target.load_balancer())
            });
        self.registered = kept;
        let others_carry = self.registered.iter().any(|member| member.weight.carries());
        let mut came = Vec::new();
        for (addr, load_balancer) in wanted {
            if let Err(place) = self.registered.binary_search_by_key(&addr, |member| member.target.addr()) {
                let target = Target::new(addr, load_balancer);
                came.push(Arc::clone(&target));
                let weight = Weight::registered(others_carry);
                self.registered.insert(place, Registered { target, checks: None, weight });
            }
        }
        (came, left.into_iter().map(|member| member.target).collect())
    }

    /// The addresses that should be registered, ordered, each once, with the name of the load balancer there.
    fn wanted(&self) -> BTreeMap<SocketAddr, Option<String>> {
        let resolved = self.hosts.iter().filter_map(|host| host.addresses.as_deref()).flatten();
        let given = self.settings.targets.iter().filter_map(|target| match &target.id {
            TargetId::Ip(ip) => Some((SocketAddr::new(*ip, target.port), None)),
            TargetId::LoadBalancer { name, address } => {
                Some((SocketAddr::new(*address, target.port), Some(name.clone())))
            }
            TargetId::HostName(_) => None,
        });
        resolved.map(|addr| (*addr, None)).chain(given).collect()
    }

    /// Ends the health checks of all registered targets.
    pub(super) fn stop_checks(&mut self) {
        for member in &mut self.registered {
            member.checks = None;
        }
    }

    /// What requests choose from.
    pub(super) fn selection(&self) -> Selection {
        let registered: Vec<_> = self.registered.iter().map(|member| Arc::clone(&member.target)).collect();
        Selection::new(&self.settings.attributes, &registered, &self.draining)
            .with_lagging(self.lagging())
            .with_weights(|addr| self.weight_of(addr))
    }

    /// Writes the host counts, and the states they make, into the metrics.
    pub(super) fn count_hosts(&self) {
        let hosts = |is: &dyn Fn(&Registered) -> bool| self.registered.iter().filter(|&it| is(it)).count();
        let gauge = |count| i64::try_from(count).unwrap_or(i64::MAX);
        let (healthy, registered) = (hosts(&Registered::is_healthy), self.registered.len());
        let unhealthy = hosts(&|member| member.target.is_unhealthy());
        let anomalous = hosts(&|member| member.weight.is_anomalous());
        let mitigated = hosts(&|member| member.weight.is_mitigated());
        let attributes = &self.settings.attributes;
        let routing = attributes.unhealthy_state_routing.is_met(healthy, registered);
        let dns = attributes.dns_failover.is_met(healthy, registered);
        for counts in &self.host_counts {
            counts.healthy_host_count.set(gauge(healthy));
            counts.unhealthy_host_count.set(gauge(unhealthy));
            counts.draining_host_count.set(gauge(self.draining.len()));
        }
        for metrics in &self.metrics {
            metrics.anomalous_host_count.set(gauge(anomalous));
            metrics.mitigated_host_count.set(gauge(mitigated));
            metrics.healthy_state_routing.set(routing.into());
            metrics.unhealthy_state_routing.set((!routing).into());
            metrics.healthy_state_dns.set(dns.into());
            metrics.unhealthy_state_dns.set((!dns).into());
        }
    }

    /// Counts the deregistered targets that have work in flight although their delay is over.
    pub(super) fn count_overdue(&mut self) {
        self.overdue.retain(|target| target.upgrade().is_some_and(|target| target.outstanding() > 0));
        let overdue = i64::try_from(self.overdue.len()).unwrap_or(i64::MAX);
        for counts in &self.host_counts {
            counts.draining_overdue_host_count.set(overdue);
        }
    }

    /// All registered targets, then the draining ones.
    pub(super) fn describe(&self) -> Vec<TargetDescription> {
        let registered =
            self.registered.iter().map(|member| (&member.target, Some(member.weight.anomaly_detection())));
        registered
            .chain(self.draining.iter().map(|target| (target, None)))
            .map(|(target, anomaly_detection)| TargetDescription {
                addr: target.addr(),
                load_balancer: target.load_balancer().map(str::to_owned),
                health: target.health(),
                forced: target.forced(),
                outstanding: target.outstanding(),
                request_count: target.request_count(),
                sticky_request_count: target.sticky_request_count(),
                open_websockets: target.open_websockets(),
                drained_at: target.drained_at(),
                anomaly_detection,
            })
            .collect()
    }
}

//! Who belongs to a target group: what changes under the group's lock. No tasks, no I/O.

use std::{mem, net::SocketAddr, sync::Arc};

use tokio_util::sync::DropGuard;

use super::{Target, TargetDescription, resolve::Host, select::Selection};
use crate::{
    health::State,
    metrics::TargetGroupMetrics,
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
    pub(super) metrics: Vec<Arc<TargetGroupMetrics>>,
    /// Host names among the configured targets.
    pub(super) hosts: Vec<Host>,
    /// Ordered by address.
    pub(super) registered: Vec<Registered>,
    /// In the order they began to drain.
    pub(super) draining: Vec<Arc<Target>>,
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
}

impl Members {
    /// A group that has no targets yet.
    pub(super) fn new(settings: &TargetGroup) -> Self {
        Self {
            health_check: Arc::new(settings.health_check.clone()),
            settings: settings.clone(),
            load_balancers: Vec::new(),
            metrics: Vec::new(),
            hosts: Vec::new(),
            registered: Vec::new(),
            draining: Vec::new(),
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
        let targets = &self.settings.targets;
        self.hosts.retain(|host| targets.iter().any(|target| host.is(&target.id, target.port)));
    }

    /// Makes the registered targets the wanted ones; returns those that came and those that left.
    pub(super) fn reconcile(&mut self) -> (Vec<Arc<Target>>, Vec<Arc<Target>>) {
        let wanted = self.wanted();
        let (kept, left): (Vec<_>, Vec<_>) = mem::take(&mut self.registered)
            .into_iter()
            .partition(|member| wanted.binary_search(&member.target.addr()).is_ok());
        self.registered = kept;
        let mut came = Vec::new();
        for addr in wanted {
            if let Err(place) = self.registered.binary_search_by_key(&addr, |member| member.target.addr()) {
                let target = Target::new(addr);
                came.push(Arc::clone(&target));
                self.registered.insert(place, Registered { target, checks: None });
            }
        }
        (came, left.into_iter().map(|member| member.target).collect())
    }

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
    }

    /// Writes the host counts into the metrics.
    pub(super) fn count_hosts(&self) {
        let count = |state| {
            let members = self.registered.iter();
            let count = members.filter(|member| member.target.health().state == state).count();
            i64::try_from(count).unwrap_or(i64::MAX)
        };
        for metrics in &self.metrics {
            metrics.healthy_host_count.set(count(State::Healthy));
            metrics.unhealthy_host_count.set(count(State::Unhealthy));
        }
    }

    /// All registered targets, then the draining ones.
    pub(super) fn describe(&self) -> Vec<TargetDescription> {
        let registered = self.registered.iter().map(|member| &member.target);
        registered
            .chain(&self.draining)
            .map(|target| TargetDescription {
                addr: target.addr(),
                health: target.health(),
                outstanding: target.outstanding(),
            })
            .collect()
    }
}

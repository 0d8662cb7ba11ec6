//! The registry with scripted checks and lookups, under a paused clock.

mod flows;
mod health;
mod known;
mod membership;
mod propagation;
mod selection;
mod sockets;
mod weights;

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Environment, Group, Registry, Resolver, TargetDescription};
use crate::{
    health::{Checker, Outcome as CheckOutcome, State},
    metrics::Metrics,
    model::{
        Action, Admin, HealthCheck, Listener, ListenerProtocol, LoadBalancer, LoadBalancerType, Model,
        Target, TargetGroup, TargetGroupIndex, TargetGroupProtocol,
        arn::{Scope, load_balancer_path, target_group_path},
        listener::ListenerAttributes,
        load_balancer::LoadBalancerAttributes,
        rule::{Actions, Forward},
        target_group::{TargetGroupAttributes, TargetId},
    },
    time_scale::TimeScale,
};

/// Answers of checks and lookups; what is not scripted passes, or is unknown.
#[derive(Default)]
struct Script {
    checks: Mutex<HashMap<SocketAddr, CheckOutcome>>,
    checked: AtomicU32,
    hosts: Mutex<HashMap<String, Vec<SocketAddr>>>,
}

impl Script {
    fn answer(&self, target: &str, outcome: CheckOutcome) {
        self.checks.lock().insert(addr(target), outcome);
    }

    fn host(&self, name: &str, addresses: &[&str]) {
        self.hosts.lock().insert(name.to_owned(), addresses.iter().copied().map(addr).collect());
    }
}

struct Scripted(Arc<Script>);

#[async_trait]
impl Checker for Scripted {
    async fn check(&self, addr: SocketAddr, _settings: &HealthCheck, _limit: Duration) -> CheckOutcome {
        self.0.checked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.0.checks.lock().get(&addr).copied().unwrap_or(CheckOutcome::Passed(200))
    }
}

#[async_trait]
impl Resolver for Scripted {
    async fn resolve(&self, host: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
        self.0.hosts.lock().get(host).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// A registry in a world of its own.
struct World {
    script: Arc<Script>,
    registry: Registry,
    metrics: Arc<Metrics>,
    tracker: TaskTracker,
    shutdown: CancellationToken,
}

impl World {
    fn new() -> Self {
        Self::with_scale(TimeScale::default())
    }

    fn with_scale(scale: TimeScale) -> Self {
        let (script, metrics) = (Arc::new(Script::default()), Metrics::try_new().unwrap());
        let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let mut environment =
            Environment::new(tracker.clone(), scale, Arc::clone(&metrics), shutdown.clone());
        environment.checker = Box::new(Scripted(Arc::clone(&script)));
        environment.resolver = Box::new(Scripted(Arc::clone(&script)));
        Self { script, registry: Registry::with_environment(environment), metrics, tracker, shutdown }
    }

    /// Applies a model with one load balancer that forwards to the first group.
    fn apply(&self, groups: Vec<TargetGroup>) -> Vec<Arc<Group>> {
        self.registry.apply(&model(groups))
    }

    /// Applies a single group.
    fn apply_one(&self, group: TargetGroup) -> Arc<Group> {
        self.apply(vec![group]).remove(0)
    }

    /// Waits, in paused time, until the group's targets are in these states.
    async fn reach(&self, group: &Group, expected: &[(&str, State)]) {
        let expected: Vec<_> = expected.iter().map(|&(target, state)| (addr(target), state)).collect();
        let mut changes = self.registry.changes();
        let reached = async {
            while states(group) != expected {
                changes.changed().await.unwrap();
            }
        };
        let in_time = timeout(Duration::from_secs(3600), reached).await;
        assert!(in_time.is_ok(), "expected {expected:?}, is {:?}", states(group));
    }
}

/// For algorithms that need no randomness.
fn no_draw() -> u32 {
    unreachable!("no algorithm here draws")
}

fn states(group: &Group) -> Vec<(SocketAddr, State)> {
    group.describe().iter().map(|TargetDescription { addr, health, .. }| (*addr, health.state)).collect()
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn group(name: &str, targets: &[&str]) -> TargetGroup {
    let target = |text: &&str| match text.parse::<SocketAddr>() {
        Ok(addr) => Target { id: TargetId::Ip(addr.ip()), port: addr.port() },
        Err(_) => {
            let (host, port) = text.rsplit_once(':').unwrap();
            Target { id: TargetId::HostName(host.to_owned()), port: port.parse().unwrap() }
        }
    };
    TargetGroup {
        name: name.to_owned(),
        arn: Scope::default().target_group(name),
        metric_name: target_group_path(name),
        protocol: TargetGroupProtocol::Http,
        target_type: crate::model::TargetType::Ip,
        protocol_version: crate::model::target_group::ProtocolVersion::Http1,
        port: None,
        health_check: HealthCheck::default(),
        attributes: TargetGroupAttributes::default(),
        targets: targets.iter().map(target).collect(),
    }
}

fn model(target_groups: Vec<TargetGroup>) -> Model {
    let (kind, name) = (LoadBalancerType::Application, "edge");
    Model {
        scope: Scope::default(),
        certificates: Vec::new(),
        trust_stores: Vec::new(),
        load_balancers: vec![LoadBalancer {
            name: name.to_owned(),
            kind,
            arn: Scope::default().load_balancer(kind, name),
            log_name: load_balancer_path(kind, name),
            dns_name: "edge.local".to_owned(),
            attributes: LoadBalancerAttributes::default(),
            listeners: vec![Listener {
                arn: Scope::default().listener(kind, name, ListenerProtocol::Http, 80),
                protocol: ListenerProtocol::Http,
                bind: addr("127.0.0.1:80"),
                tls: None,
                rules: Vec::new(),
                default_actions: Actions::from(Action::Forward(Forward::to(TargetGroupIndex(0)))),
                attributes: ListenerAttributes::default(),
            }],
        }],
        target_groups,
        admin: Admin::default(),
        stickiness_keys: Vec::new(),
        traces: None,
    }
}

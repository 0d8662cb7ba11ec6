//! From a prepared configuration to what listeners work with.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{prepare::Prepared, wall_clock};
use crate::{
    access_log::{Sink, SinkSettings},
    alb::state::{GroupState, ListenerState, LoadBalancerState, Timers},
    metrics::Metrics,
    model::{LoadBalancer, LogDestination, Model},
    target_groups::Group,
    time_scale::TimeScale,
};

/// The state of every listener of a configuration, with its address.
pub(super) fn listeners(
    prepared: &Prepared,
    groups: &[Arc<Group>],
    sinks: &HashMap<String, Arc<Sink>>,
    metrics: &Metrics,
    scale: TimeScale,
) -> Vec<(SocketAddr, ListenerState)> {
    let mut states = Vec::new();
    for (load_balancer, tls) in prepared.model.load_balancers.iter().zip(&prepared.tls) {
        let shared = Arc::new(LoadBalancerState {
            log_name: load_balancer.log_name.clone(),
            metrics: metrics.load_balancer(&load_balancer.log_name),
            access_log: sinks.get(&load_balancer.name).cloned(),
            timers: Timers::new(load_balancer, scale),
        });
        let groups = group_states(prepared, load_balancer, groups, metrics);
        for (listener, tls) in load_balancer.listeners.iter().zip(tls) {
            let state = ListenerState::new(
                load_balancer,
                listener,
                Arc::clone(&shared),
                Arc::clone(&groups),
                tls.clone(),
                scale,
            );
            states.push((listener.bind, state));
        }
    }
    states
}

fn group_states(
    prepared: &Prepared,
    load_balancer: &LoadBalancer,
    groups: &[Arc<Group>],
    metrics: &Metrics,
) -> Arc<[Arc<GroupState>]> {
    let own = metrics.load_balancer(&load_balancer.log_name);
    let settings = prepared.model.target_groups.iter().zip(&prepared.target_tls);
    let states = settings.zip(groups).map(|((settings, tls), group)| {
        let metrics = metrics.target_group(&load_balancer.log_name, &settings.metric_name);
        Arc::new(GroupState::new(settings, Arc::clone(group), metrics, Arc::clone(&own), tls.clone()))
    });
    states.collect()
}

/// Where the access logs of a load balancer go.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Destination {
    file: Option<LogDestination>,
    stdout: bool,
}

/// The access logs of all load balancers, by name. They outlive reloads that do not change them.
#[derive(Debug, Default)]
pub(super) struct Sinks {
    open: Mutex<HashMap<String, (Destination, Arc<Sink>)>>,
    /// No longer wanted, but perhaps still written to by a WebSocket that was opened under them.
    retired: Mutex<Vec<Retired>>,
}

/// A log that goes with the last WebSocket that writes to it; its writer may be busy for longer.
#[derive(Debug)]
struct Retired {
    sink: Weak<Sink>,
    finished: CancellationToken,
}

impl Sinks {
    /// Opens the logs that `model` wants and that are not open, and forgets those it does not want.
    /// A forgotten log writes its last lines and ends when the last request that uses it has ended.
    pub(super) fn apply(&self, model: &Model, metrics: &Metrics) -> io::Result<HashMap<String, Arc<Sink>>> {
        let mut open = self.open.lock();
        let mut wanted = HashMap::new();
        for load_balancer in &model.load_balancers {
            let attributes = &load_balancer.attributes;
            let destination =
                Destination { file: attributes.access_logs.clone(), stdout: attributes.access_logs_stdout };
            if destination.file.is_none() && !destination.stdout {
                continue;
            }
            let sink = match open.get(&load_balancer.name) {
                Some((same, sink)) if *same == destination => Arc::clone(sink),
                _ => Arc::new(start(model, load_balancer, &destination, metrics)?),
            };
            wanted.insert(load_balancer.name.clone(), (destination, sink));
        }
        let sinks = wanted.iter().map(|(name, (_, sink))| (name.clone(), Arc::clone(sink))).collect();
        let left = open.drain().map(|(_, (_, sink))| sink);
        let mut retired = self.retired.lock();
        retired.retain(|log| !log.finished.is_cancelled());
        retired.extend(left.filter(|sink| !is_among(sink, &wanted)).map(|sink| Retired::from(&sink)));
        *open = wanted;
        Ok(sinks)
    }

    /// Writes what is queued, for at most `limit`.
    pub(super) async fn close(&self, limit: Duration) {
        let open: Vec<Arc<Sink>> = self.open.lock().drain().map(|(_, (_, sink))| sink).collect();
        for sink in open {
            report(sink.close(limit).await);
        }
        let retired: Vec<Retired> = self.retired.lock().drain(..).collect();
        for log in retired {
            report(match log.sink.upgrade() {
                Some(sink) => sink.close(limit).await,
                None => timeout(limit, log.finished.cancelled()).await.is_ok(),
            });
        }
    }
}

impl From<&Arc<Sink>> for Retired {
    fn from(sink: &Arc<Sink>) -> Self {
        Self { sink: Arc::downgrade(sink), finished: sink.finished() }
    }
}

fn report(written: bool) {
    if !written {
        tracing::error!("an access log could not be written to its end in time");
    }
}

fn is_among(sink: &Arc<Sink>, wanted: &HashMap<String, (Destination, Arc<Sink>)>) -> bool {
    wanted.values().any(|(_, kept)| Arc::ptr_eq(sink, kept))
}

fn start(
    model: &Model,
    load_balancer: &LoadBalancer,
    destination: &Destination,
    metrics: &Metrics,
) -> io::Result<Sink> {
    let node = load_balancer
        .listeners
        .first()
        .map_or_else(|| IpAddr::from([127, 0, 0, 1]), |listener| listener.bind.ip());
    let settings = SinkSettings {
        destination: destination.file.clone(),
        copy: destination.stdout.then(|| Box::new(io::stdout()) as _),
        scope: model.scope.clone(),
        load_balancer: load_balancer.log_name.clone(),
        node,
        clock: wall_clock,
        random: rand::random,
    };
    Sink::open(settings, metrics.load_balancer(&load_balancer.log_name))
}

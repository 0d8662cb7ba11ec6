//! The logs of all load balancers: which are open, which are on their way out.

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::wall_clock;
use crate::{
    access_log::{LogKind, LogMetrics, Sink, SinkSettings, sink},
    metrics::Metrics,
    model::{
        LoadBalancer, LogDestination, Model,
        arn::Scope,
        load_balancer::{LogFiles, LogFormat},
    },
    target_groups::{HealthCheckLog, HealthCheckLogs},
    time_scale::TimeScale,
};

/// Where a log goes, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Destination {
    /// Account and region in paths and names.
    scope: Scope,
    /// This node's address in file names.
    node: IpAddr,
    file: Option<LogDestination>,
    stdout: bool,
    files: LogFiles,
    format: LogFormat,
}

impl Destination {
    /// `None` for a log that is off.
    fn of(log: LogKind, scope: &Scope, load_balancer: &LoadBalancer) -> Option<Self> {
        if !has_lines(log, load_balancer) {
            return None;
        }
        let attributes = &load_balancer.attributes;
        let file = file(log, load_balancer);
        let stdout = match log {
            LogKind::Access | LogKind::TlsConnection => attributes.access_logs_stdout,
            LogKind::Connection | LogKind::HealthCheck => false,
            LogKind::Flow => attributes.flow_logs_stdout,
        };
        (file.is_some() || stdout).then(|| Self {
            scope: scope.clone(),
            node: node(load_balancer),
            file: file.cloned(),
            stdout,
            files: attributes.log_files,
            format: attributes.log_format,
        })
    }
}

/// The directories that a load balancer's logs go to.
pub(super) fn destinations(load_balancer: &LoadBalancer) -> impl Iterator<Item = (LogKind, &LogDestination)> {
    LogKind::of(load_balancer.kind).iter().filter_map(|&log| Some((log, file(log, load_balancer)?)))
}

const fn file(log: LogKind, load_balancer: &LoadBalancer) -> Option<&LogDestination> {
    let attributes = &load_balancer.attributes;
    match log {
        LogKind::Access | LogKind::TlsConnection => attributes.access_logs.as_ref(),
        LogKind::Connection => attributes.connection_logs.as_ref(),
        LogKind::HealthCheck => attributes.health_check_logs.as_ref(),
        LogKind::Flow => attributes.flow_logs.as_ref(),
    }
}

/// Whether there can be lines: an access log of a Network Load Balancer without a TLS listener has none, not
/// even a test file.
fn has_lines(log: LogKind, load_balancer: &LoadBalancer) -> bool {
    log != LogKind::TlsConnection || load_balancer.listeners.iter().any(|listener| listener.protocol.is_tls())
}

/// Load balancer's log name (`app/NAME/ID` or `net/NAME/ID`), and which of its logs.
type Key = (String, LogKind);

/// The open logs. They outlive reloads that do not change them.
#[derive(Debug, Default)]
pub(super) struct Logs {
    open: Mutex<HashMap<Key, (Destination, Arc<Sink>)>>,
    /// No longer wanted, but perhaps still written to by a WebSocket that was opened under them.
    retired: Mutex<Vec<Retired>>,
}

/// A log that goes with the last WebSocket that writes to it; its writer may be busy for longer.
#[derive(Debug)]
struct Retired {
    sink: Weak<Sink>,
    finished: CancellationToken,
}

/// The logs that are in force.
#[derive(Debug)]
pub(super) struct Sinks(HashMap<Key, Arc<Sink>>);

impl Sinks {
    /// A log of the load balancer with this log name; `None` if it is off.
    pub(super) fn get(&self, log: LogKind, load_balancer: &str) -> Option<Arc<Sink>> {
        self.0.get(&(load_balancer.to_owned(), log)).cloned()
    }
}

/// Where health checks are logged, by load balancer's log name.
pub(super) fn health_checks(model: &Model, sinks: &Sinks) -> HealthCheckLogs {
    let logged = model.load_balancers.iter().filter_map(|load_balancer| {
        let name = &load_balancer.log_name;
        let sink = sinks.get(LogKind::HealthCheck, name)?;
        Some((name.clone(), HealthCheckLog { sink, node: node(load_balancer) }))
    });
    HealthCheckLogs(logged.collect())
}

impl Logs {
    /// Opens the logs that `model` wants and that are not open, and forgets those it does not want.
    /// A forgotten log writes its last lines and ends when the last request that uses it has ended.
    pub(super) fn apply(&self, model: &Model, metrics: &Metrics, scale: TimeScale) -> io::Result<Sinks> {
        let mut open = self.open.lock();
        let mut wanted = HashMap::new();
        for load_balancer in &model.load_balancers {
            for &log in LogKind::of(load_balancer.kind) {
                let Some(destination) = Destination::of(log, &model.scope, load_balancer) else { continue };
                let key = (load_balancer.log_name.clone(), log);
                let sink = match open.get(&key) {
                    Some((same, sink)) if *same == destination => Arc::clone(sink),
                    _ => {
                        let settings = settings(log, load_balancer, &destination, scale);
                        let metrics = LogMetrics::of(log, metrics, &load_balancer.log_name);
                        Arc::new(Sink::open(settings, metrics)?)
                    }
                };
                wanted.insert(key, (destination, sink));
            }
        }
        let sinks = wanted.iter().map(|(key, (_, sink))| (key.clone(), Arc::clone(sink))).collect();
        let left = open.drain().map(|(_, (_, sink))| sink);
        let mut retired = self.retired.lock();
        retired.retain(|log| !log.finished.is_cancelled());
        retired.extend(left.filter(|sink| !is_among(sink, &wanted)).map(|sink| Retired::from(&sink)));
        *open = wanted;
        Ok(Sinks(sinks))
    }

    /// Writes what is queued and finishes all files, for at most `limit`.
    pub(super) async fn close(&self, limit: Duration) {
        let open: Vec<Arc<Sink>> = self.open.lock().drain().map(|(_, (_, sink))| sink).collect();
        let retired: Vec<Retired> = self.retired.lock().drain(..).collect();
        let closed = join_all(open.iter().map(|sink| sink.close(limit)));
        let ended = join_all(retired.iter().map(|log| async move {
            match log.sink.upgrade() {
                Some(sink) => sink.close(limit).await,
                None => timeout(limit, log.finished.cancelled()).await.is_ok(),
            }
        }));
        let (closed, ended) = tokio::join!(closed, ended);
        for _ in closed.into_iter().chain(ended).filter(|written| !written) {
            tracing::error!("a log could not be written to its end in time");
        }
    }
}

impl From<&Arc<Sink>> for Retired {
    fn from(sink: &Arc<Sink>) -> Self {
        Self { sink: Arc::downgrade(sink), finished: sink.finished() }
    }
}

fn is_among(sink: &Arc<Sink>, wanted: &HashMap<Key, (Destination, Arc<Sink>)>) -> bool {
    wanted.values().any(|(_, kept)| Arc::ptr_eq(sink, kept))
}

fn settings(
    log: LogKind,
    load_balancer: &LoadBalancer,
    destination: &Destination,
    scale: TimeScale,
) -> SinkSettings {
    SinkSettings {
        log,
        destination: destination.file.clone(),
        files: destination.files,
        interval: scale.apply(sink::INTERVAL),
        format: destination.format,
        copy: destination.stdout.then(|| Box::new(io::stdout()) as _),
        scope: destination.scope.clone(),
        load_balancer: load_balancer.log_name.clone(),
        node: destination.node,
        clock: wall_clock,
        random: rand::random,
    }
}

/// The address that stands for this node: where the first listener listens.
fn node(load_balancer: &LoadBalancer) -> IpAddr {
    load_balancer
        .listeners
        .first()
        .map_or_else(|| IpAddr::from([127, 0, 0, 1]), |listener| listener.bind.ip())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        config,
        model::{
            listener::ListenerProtocol,
            load_balancer::{LoadBalancerAttributes, LoadBalancerType},
        },
    };

    /// The directories and names of a log that is on.
    #[track_caller]
    fn destination(top: &str, bind: &str) -> Option<Destination> {
        let model = model(top, bind);
        Destination::of(LogKind::Access, &model.scope, &model.load_balancers[0])
    }

    #[track_caller]
    fn model(top: &str, bind: &str) -> Model {
        let text = format!(
            "{top}
target_groups: [{{ name: web, protocol: HTTP, port: 80, targets: [{{ id: 127.0.0.1 }}] }}]
load_balancers:
  - name: edge
    type: application
    attributes: {{ access_logs.s3.enabled: true, access_logs.s3.bucket: logs }}
    listeners:
      - {{ protocol: HTTP, port: 80, {bind} default_actions: [{{ forward: {{ target_group: web }} }}] }}
"
        );
        config::parse(&text, Path::new("/"), "f", &|_| None).unwrap().model
    }

    /// The logs of a load balancer that are on, with whether they go to a file and to standard output, after
    /// its type, its attributes and its listeners' protocol were set by hand.
    fn logs_on(
        kind: LoadBalancerType,
        protocol: ListenerProtocol,
        attributes: LoadBalancerAttributes,
    ) -> Vec<(LogKind, bool, bool)> {
        let mut model = model("", "");
        let load_balancer = &mut model.load_balancers[0];
        (load_balancer.kind, load_balancer.attributes) = (kind, attributes);
        load_balancer.listeners[0].protocol = protocol;
        let kinds = LogKind::of(kind).iter();
        let on = kinds.filter_map(|&log| Some((log, Destination::of(log, &model.scope, load_balancer)?)));
        on.map(|(log, destination)| (log, destination.file.is_some(), destination.stdout)).collect()
    }

    #[test]
    fn network_load_balancers_have_an_access_log_of_tls_listeners_and_a_flow_log() {
        let network = LoadBalancerType::Network;
        let (tcp, tls) = (ListenerProtocol::Tcp, ListenerProtocol::Tls);
        let to = |bucket: &str| Some(LogDestination { bucket: bucket.into(), prefix: String::new() });
        let defaults = LoadBalancerAttributes::default();
        let access = LoadBalancerAttributes { access_logs: to("access"), ..defaults.clone() };
        assert_eq!(logs_on(network, tls, defaults.clone()), []);
        assert_eq!(logs_on(network, tls, access.clone()), [(LogKind::TlsConnection, true, false)]);
        assert_eq!(logs_on(network, tcp, access), []);
        let stdout = LoadBalancerAttributes { access_logs_stdout: true, ..defaults.clone() };
        assert_eq!(logs_on(network, tls, stdout.clone()), [(LogKind::TlsConnection, false, true)]);
        assert_eq!(logs_on(network, tcp, stdout), []);
        let flows = LoadBalancerAttributes { flow_logs: to("flows"), ..defaults.clone() };
        assert_eq!(logs_on(network, tcp, flows.clone()), [(LogKind::Flow, true, false)]);
        assert_eq!(logs_on(LoadBalancerType::Application, tcp, flows), []);
        let stdout = LoadBalancerAttributes { flow_logs_stdout: true, ..defaults };
        assert_eq!(logs_on(network, tcp, stdout), [(LogKind::Flow, false, true)]);
    }

    #[test]
    fn a_log_is_opened_anew_when_what_names_its_files_changes() {
        let plain = destination("", "");
        assert!(plain.is_some());
        assert_eq!(plain, destination("", ""));
        for (top, bind) in
            [("account_id: '123456789012'", ""), ("region: eu-west-1", ""), ("", "address: 127.0.0.2,")]
        {
            assert_ne!(plain, destination(top, bind), "{top} {bind}");
        }
    }
}

//! Traces: a span for each sampled request and for each time it was given to a
//! target, exported by OTLP over HTTP.
//!
//! Not ELB's. Off unless the configuration has `traces`. Spans are made at the
//! end of a request from the facts of its access log record. They wait in a
//! bounded queue for a task of their own: a request never waits for a
//! collector, and what finds the queue full is lost and counted. References:
//! OpenTelemetry's OTLP specification and its semantic conventions for HTTP
//! spans; W3C Trace Context, level 1.

pub mod amzn_trace_id;
mod attributes;
mod collector;
mod exporter;
pub mod id;
mod retry;
pub mod sampler;
pub mod span;
pub mod traceparent;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use opentelemetry_proto::tonic::{resource::v1::Resource, trace::v1::Span};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    attributes::Attributes,
    collector::Collector,
    exporter::Exporter,
    sampler::{Fresh, Incoming, Joined, Sampling},
    span::Finished,
};
use crate::{metrics::TraceMetrics, model::traces::Traces, tasks::Tasks, time_scale::TimeScale};

/// Requests whose spans wait at most (`OTEL_BSP_MAX_QUEUE_SIZE` counts spans).
const QUEUE: usize = 2048;

/// Records requests under one configuration.
#[derive(Debug)]
pub struct Tracer {
    sampling: Sampling,
    propagate: bool,
    queue: mpsc::Sender<Vec<Span>>,
    metrics: TraceMetrics,
}

impl Tracer {
    /// The trace of a request.
    #[must_use]
    pub fn join(&self, incoming: Incoming<'_>, fresh: Fresh) -> Joined {
        self.sampling.join(incoming, fresh)
    }

    /// Whether targets are told of the trace.
    #[must_use]
    pub const fn propagates(&self) -> bool {
        self.propagate
    }

    /// Records a request that has ended. Never waits: if the queue is full, its spans are lost and counted.
    pub fn record(&self, finished: &Finished<'_>) {
        let spans = span::spans(finished);
        let count = spans.len() as u64;
        if self.queue.try_send(spans).is_err() {
            self.metrics.spans_dropped.inc_by(count);
        }
    }
}

/// Everything that exports traces in this process.
#[derive(Debug)]
pub struct Exports {
    metrics: TraceMetrics,
    scale: TimeScale,
    instance: String,
    tracker: TaskTracker,
    /// Cancelled when what is queued is to be sent at once.
    closing: CancellationToken,
    /// Cancelled when connections to collectors are to end.
    stopped: CancellationToken,
    current: Mutex<Option<(Arc<Traces>, Arc<Tracer>)>>,
}

impl Exports {
    /// Nothing is exported yet; what will be counts in `metrics`. `instance` names this process.
    #[must_use]
    pub fn new(metrics: TraceMetrics, scale: TimeScale, instance: u128) -> Self {
        Self {
            metrics,
            scale,
            instance: format!("{instance:032x}"),
            tracker: TaskTracker::new(),
            closing: CancellationToken::new(),
            stopped: CancellationToken::new(),
            current: Mutex::new(None),
        }
    }

    /// The tracer for what begins from now on; `None` if requests are not traced. Settings that have not
    /// changed keep their tracer. One that is replaced sends what was begun under it, and ends with the last
    /// of that. Reads the system's authorities, if the collector's URL is `https`.
    pub fn apply(&self, traces: Option<&Traces>) -> Option<Arc<Tracer>> {
        let mut current = self.current.lock();
        if let (Some((settings, tracer)), Some(traces)) = (&*current, traces)
            && **settings == *traces
        {
            return Some(Arc::clone(tracer));
        }
        *current = traces.and_then(|traces| self.start(Arc::new(traces.clone())));
        current.as_ref().map(|(_, tracer)| Arc::clone(tracer))
    }

    fn start(&self, settings: Arc<Traces>) -> Option<(Arc<Traces>, Arc<Tracer>)> {
        let tasks = Tasks::new(self.tracker.clone(), self.stopped.clone());
        let collector = match Collector::new(Arc::clone(&settings), self.scale, tasks) {
            Ok(collector) => collector,
            Err(error) => {
                tracing::error!(%error, "no certificate authority to trust the collector by: no traces");
                return None;
            }
        };
        let (sender, queue) = mpsc::channel(QUEUE);
        let exporter = Exporter {
            queue,
            collector,
            resource: resource(&settings, &self.instance),
            metrics: self.metrics.clone(),
            scale: self.scale,
            closing: self.closing.clone(),
            is_failing: false,
        };
        self.tracker.spawn(exporter.run());
        let tracer = Tracer {
            sampling: Sampling::new(&settings),
            propagate: settings.propagate,
            queue: sender,
            metrics: self.metrics.clone(),
        };
        Some((settings, Arc::new(tracer)))
    }

    /// Sends what is queued, but for no longer than `limit`.
    pub async fn close(&self, limit: Duration) {
        self.closing.cancel();
        self.tracker.close();
        if tokio::time::timeout(limit, self.tracker.wait()).await.is_err() {
            tracing::warn!("the collector did not take the last traces in time");
        }
        self.stopped.cancel();
    }
}

/// Who the spans are of. What the configuration says counts more than what is known anyway.
fn resource(settings: &Traces, instance: &str) -> Resource {
    let known = [
        ("service.name", settings.service_name.as_str()),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("service.instance.id", instance),
        ("telemetry.sdk.name", "albeit"),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
    ];
    let given = &settings.resource_attributes;
    let mut attributes = Attributes::default();
    for (key, value) in known.iter().filter(|(key, _)| !given.contains_key(*key)) {
        attributes.text(key, value);
    }
    for (key, value) in given {
        attributes.text(key, value);
    }
    Resource { attributes: attributes.into(), ..Resource::default() }
}

/// Wall clock, for dates that collectors give.
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

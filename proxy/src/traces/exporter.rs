//! The task that sends spans: collects a batch, sends it, tries again later what may pass.

use std::time::Duration;

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::InstrumentationScope,
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prost::Message as _;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    collector::{Answer, Collect},
    retry,
};
use crate::{metrics::TraceMetrics, time_scale::TimeScale};

/// Spans of a batch after which it is sent at once (`OTEL_BSP_MAX_EXPORT_BATCH_SIZE`).
pub(super) const BATCH: usize = 512;
/// How long a span waits for others (`OTEL_BSP_SCHEDULE_DELAY`), before time scaling.
pub(super) const DELAY: Duration = Duration::from_secs(5);

/// Sends what comes through a queue until that is closed or the process goes.
pub(super) struct Exporter<C> {
    pub(super) queue: mpsc::Receiver<Vec<Span>>,
    pub(super) collector: C,
    pub(super) resource: Resource,
    pub(super) metrics: TraceMetrics,
    pub(super) scale: TimeScale,
    /// Cancelled when what is queued is to be sent at once, and nothing tried again.
    pub(super) closing: CancellationToken,
    /// Whether the last export failed, so that only changes are logged.
    pub(super) is_failing: bool,
}

impl<C: Collect> Exporter<C> {
    /// Runs to the end.
    pub(super) async fn run(mut self) {
        while let Some(batch) = self.collect().await {
            self.export(batch).await;
        }
    }

    /// The next batch; `None` if nothing more will come.
    async fn collect(&mut self) -> Option<Vec<Span>> {
        let mut batch = tokio::select! {
            biased;
            spans = self.queue.recv() => spans?,
            () = self.closing.cancelled() => self.queue.try_recv().ok()?,
        };
        let deadline = Instant::now() + self.scale.apply(DELAY);
        while batch.len() < BATCH {
            let more = tokio::select! {
                biased;
                spans = self.queue.recv() => spans,
                () = self.closing.cancelled() => self.queue.try_recv().ok(),
                () = sleep_until(deadline) => None,
            };
            let Some(more) = more else { break };
            batch.extend(more);
        }
        Some(batch)
    }

    async fn export(&mut self, spans: Vec<Span>) {
        let count = spans.len() as u64;
        let body = bytes::Bytes::from(self.message(spans).encode_to_vec());
        let mut failures = 0;
        let lost = loop {
            // Sent once more even if there is no time to try again.
            let (reason, after) = match self.collector.send(body.clone()).await {
                Answer::Taken { rejected, message } => break self.taken(count, rejected, &message),
                Answer::Later { reason, after } => (reason, after),
                Answer::Refused { reason } => break self.failed(count, &reason),
            };
            failures += 1;
            self.metrics.export_errors.inc();
            if failures >= retry::MOST_ATTEMPTS || self.closing.is_cancelled() {
                break self.failed(count, &reason);
            }
            if !self.is_failing {
                tracing::warn!(reason, "traces cannot be exported, trying again");
                self.is_failing = true;
            }
            let pause = after.unwrap_or_else(|| self.scale.apply(retry::pause(failures, rand::random())));
            tokio::select! {
                biased;
                () = self.closing.cancelled() => {}
                () = sleep(pause) => {}
            }
        };
        self.metrics.spans_exported.inc_by(count - lost);
        self.metrics.spans_dropped.inc_by(lost);
    }

    /// Notes that a batch was taken; how many of its spans were not.
    fn taken(&mut self, count: u64, rejected: u64, message: &str) -> u64 {
        let rejected = rejected.min(count);
        if rejected > 0 {
            tracing::warn!(rejected, message, "the collector refused spans");
        } else if !message.is_empty() {
            tracing::info!(message, "the collector says of the spans it took");
        }
        if self.is_failing {
            tracing::info!("traces are exported again");
            self.is_failing = false;
        }
        rejected
    }

    /// Notes that a batch is lost; how many spans it had.
    fn failed(&mut self, count: u64, reason: &str) -> u64 {
        tracing::warn!(reason, spans = count, "traces lost");
        self.is_failing = true;
        count
    }

    fn message(&self, spans: Vec<Span>) -> ExportTraceServiceRequest {
        let scope = InstrumentationScope {
            name: "albeit".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let scope_spans = ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() };
        let resource_spans = ResourceSpans {
            resource: Some(self.resource.clone()),
            scope_spans: vec![scope_spans],
            ..ResourceSpans::default()
        };
        ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
    }
}

#[cfg(test)]
mod tests;

//! Where traces go, and which requests have one. Names are OpenTelemetry's.

use std::{collections::BTreeMap, time::Duration};

use http::{HeaderName, HeaderValue, Uri};

/// How spans of requests are made and exported (`OTEL_…` names in brackets).
#[derive(Debug, Clone, PartialEq)]
pub struct Traces {
    /// The collector's URL for OTLP over HTTP (`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`).
    pub endpoint: Uri,
    /// Header fields of each export (`OTEL_EXPORTER_OTLP_HEADERS`); their values are marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whose word counts (`OTEL_TRACES_SAMPLER`).
    pub sampler: Sampler,
    /// Share of the traces that begin here and are sampled, 0–1 (`OTEL_TRACES_SAMPLER_ARG`). Default 1.
    pub sampling_ratio: f64,
    /// Resource attribute `service.name` (`OTEL_SERVICE_NAME`). Default `albeit`.
    pub service_name: String,
    /// Further resource attributes (`OTEL_RESOURCE_ATTRIBUTES`).
    pub resource_attributes: BTreeMap<String, String>,
    /// How long one export may take, before time scaling (`OTEL_EXPORTER_OTLP_TIMEOUT`). Default 10 s.
    pub timeout: Duration,
    /// Whether targets are told of the trace by `traceparent`. Default true.
    pub propagate: bool,
}

/// Who decides whether a request is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sampler {
    /// `parentbased_traceidratio`: the caller, if it says something; else the ratio.
    #[default]
    ParentBasedTraceIdRatio,
    /// `traceidratio`: the ratio alone, whatever the caller says.
    TraceIdRatio,
}

//! HTTP requests, and the connector's numbers under the names that Micrometer
//! gives Tomcat's.

use http::{Method, StatusCode};
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntGauge, Registry};
use tokio::time::Instant;

use super::{MetricsError, add};

/// Upper bounds in seconds: from 1 ms to 10 s.
const BUCKETS: [f64; 10] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

/// HTTP requests.
#[derive(Debug)]
pub struct HttpMetrics {
    requests: HistogramVec,
    /// Open TCP connections.
    pub(super) connections: IntGauge,
    /// `max-connections`.
    pub max_connections: IntGauge,
}

impl HttpMetrics {
    pub(super) fn try_new(registry: &Registry) -> Result<Self, MetricsError> {
        let requests = HistogramOpts::new(
            "http_server_requests_seconds",
            "Time from the head of a request to the end of its response",
        );
        let labels = ["method", "outcome", "status", "uri"];
        let gauge = |name, help| add(registry, IntGauge::new(name, help)?);
        Ok(Self {
            requests: add(registry, HistogramVec::new(requests.buckets(BUCKETS.to_vec()), &labels)?)?,
            connections: gauge("tomcat_connections_current_connections", "Open TCP connections")?,
            max_connections: gauge("tomcat_connections_config_max_connections", "TCP connections served")?,
        })
    }

    /// Measures a request that began at `start` until the returned value ends.
    /// `uri` must be one of a bounded set.
    #[must_use]
    pub fn request(&self, start: Instant, method: &Method, status: StatusCode, uri: &str) -> RequestTimer {
        let labels = [name(method), outcome(status), status.as_str(), uri];
        RequestTimer { histogram: self.requests.with_label_values(&labels), start }
    }
}

/// A request whose response is being sent.
#[derive(Debug)]
pub struct RequestTimer {
    histogram: Histogram,
    start: Instant,
}

impl Drop for RequestTimer {
    fn drop(&mut self) {
        self.histogram.observe((Instant::now() - self.start).as_secs_f64());
    }
}

/// The method; Micrometer's `UNKNOWN` for those that anyone may make up.
fn name(method: &Method) -> &str {
    match *method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::DELETE
        | Method::OPTIONS
        | Method::PATCH
        | Method::TRACE
        | Method::CONNECT => method.as_str(),
        _ => "UNKNOWN",
    }
}

/// Micrometer's word for a class of statuses.
fn outcome(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..=199 => "INFORMATIONAL",
        200..=299 => "SUCCESS",
        300..=399 => "REDIRECTION",
        400..=499 => "CLIENT_ERROR",
        500..=599 => "SERVER_ERROR",
        _ => "UNKNOWN",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_bounded() {
        assert_eq!(name(&Method::GET), "GET");
        assert_eq!(name(&Method::from_bytes(b"BREW").unwrap()), "UNKNOWN");
        assert_eq!(outcome(StatusCode::SWITCHING_PROTOCOLS), "INFORMATIONAL");
        assert_eq!(outcome(StatusCode::SERVICE_UNAVAILABLE), "SERVER_ERROR");
    }
}

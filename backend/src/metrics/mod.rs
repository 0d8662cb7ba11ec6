//! Every metric of the backend, once: its name, help and labels.
//!
//! Names are those of the Micrometer meters of the Spring service this one
//! stands in for (`websocket.connections.active`), in Prometheus' spelling. No
//! label is ever a user or a destination.

mod auth;
mod http;
mod meter;
mod opening;
mod presence;
mod process;
mod relay;
mod sock_js;
mod socket_io;
mod stomp;
mod store;
mod timer;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Encoder, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};
use tokio::time::Instant;

pub use auth::AuthMetrics;
pub use http::{HttpMetrics, RequestTimer};
pub use opening::{ProxyProtocolMetrics, TlsMetrics};
pub use presence::PresenceMetrics;
pub use process::ProcessMetrics;
pub use relay::RelayMetrics;
pub use sock_js::SockJsMetrics;
pub use socket_io::SocketIoMetrics;
pub use stomp::StompMetrics;
pub use store::StoreMetrics;
pub use timer::{Running, Timer};

/// The metrics of one server.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Open WebSockets of every kind.
    pub websocket_connections_active: IntGauge,
    /// Messages of clients: STOMP SEND frames and echo messages.
    pub websocket_messages_received: IntCounter,
    /// Messages put out to clients, one for each receiver.
    pub websocket_messages_sent: IntCounter,
    /// WebSockets that ended by a fault, by whose: `handshake`, `protocol`,
    /// `unreliable`, `io`.
    pub websocket_connection_errors: IntCounterVec,
    /// Seconds from a SEND to its last delivery into an outbox.
    pub websocket_message_processing_time: Timer,
    /// Clients closed with 4500 because they read too slowly, by `reason`:
    /// `buffer` or `time`, or acknowledged too little: `unacknowledged`.
    pub slow_consumers: IntCounterVec,
    /// Messages that a full or closed outbox did not take.
    pub outbox_dropped: IntCounter,
    /// Open TCP connections, WebSockets included.
    pub http_connections_active: IntGauge,
    /// Connections refused with 503, or dropped unanswered, above
    /// `max-connections`.
    pub http_connections_refused: IntCounter,
    /// HTTP responses by status; 101 is a WebSocket.
    pub http_requests: IntCounterVec,
    /// HTTP requests by what was asked for, and the connector's numbers.
    pub http: HttpMetrics,
    /// The process.
    pub process: ProcessMetrics,
    /// TLS that ends here.
    pub tls: TlsMetrics,
    /// PROXY protocol headers.
    pub proxy_protocol: ProxyProtocolMetrics,
    /// STOMP frames and acknowledgements.
    pub stomp: StompMetrics,
    /// SockJS sessions.
    pub sock_js: SockJsMetrics,
    /// Socket.IO sessions.
    pub socket_io: SocketIoMetrics,
    /// Authentication and limits.
    pub auth: AuthMetrics,
    /// Presence across instances.
    pub presence: PresenceMetrics,
    /// The relay to other instances.
    pub relay: RelayMetrics,
    /// The message store.
    pub store: StoreMetrics,
}

/// Why the metrics cannot be made: a name is invalid or taken.
pub type MetricsError = prometheus::Error;

impl Metrics {
    /// Registers all metrics. Which instance they are of, the scraper knows.
    ///
    /// # Errors
    ///
    /// Never with the names above; the registry checks them.
    pub fn try_new() -> Result<Self, MetricsError> {
        let registry = Registry::new();
        Ok(Self {
            websocket_connections_active: add(
                &registry,
                IntGauge::new("websocket_connections_active", "Open WebSockets")?,
            )?,
            websocket_messages_received: add(
                &registry,
                IntCounter::new("websocket_messages_received_total", "Messages from clients")?,
            )?,
            websocket_messages_sent: add(
                &registry,
                IntCounter::new("websocket_messages_sent_total", "Messages to clients")?,
            )?,
            websocket_connection_errors: counter(
                &registry,
                "websocket_connection_errors_total",
                "WebSockets that ended by a fault",
                "kind",
                &["handshake", "protocol", "unreliable", "io"],
            )?,
            websocket_message_processing_time: Timer::try_new(
                &registry,
                "websocket_message_processing_time",
                "Time from a SEND to its last delivery into an outbox",
            )?,
            slow_consumers: counter(
                &registry,
                "websocket_slow_consumers_total",
                "Clients closed because they read too slowly",
                "reason",
                &["buffer", "time", "unacknowledged"],
            )?,
            outbox_dropped: add(
                &registry,
                IntCounter::new(
                    "websocket_outbox_dropped_total",
                    "Messages that a full or closed outbox did not take",
                )?,
            )?,
            http_connections_active: add(
                &registry,
                IntGauge::new("http_connections_active", "Open TCP connections")?,
            )?,
            http_connections_refused: add(
                &registry,
                IntCounter::new("http_connections_refused_total", "Connections above max-connections")?,
            )?,
            http_requests: counter(
                &registry,
                "http_requests_total",
                "HTTP responses by status",
                "status",
                &[],
            )?,
            http: HttpMetrics::try_new(&registry)?,
            process: ProcessMetrics::try_new(&registry)?,
            tls: TlsMetrics::try_new(&registry)?,
            proxy_protocol: ProxyProtocolMetrics::try_new(&registry)?,
            stomp: StompMetrics::try_new(&registry)?,
            sock_js: SockJsMetrics::try_new(&registry)?,
            socket_io: SocketIoMetrics::try_new(&registry)?,
            auth: AuthMetrics::try_new(&registry)?,
            presence: PresenceMetrics::try_new(&registry)?,
            relay: RelayMetrics::try_new(&registry)?,
            store: StoreMetrics::try_new(&registry)?,
            registry,
        })
    }

    /// The text format of Prometheus, version 0.0.4.
    ///
    /// # Errors
    ///
    /// A metric cannot be encoded.
    pub fn render(&self) -> Result<Vec<u8>, MetricsError> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.gather(), &mut text)?;
        Ok(text)
    }

    /// All metrics, those that are measured on demand included.
    fn gather(&self) -> Vec<MetricFamily> {
        self.websocket_message_processing_time.refresh(Instant::now());
        self.http.connections.set(self.http_connections_active.get());
        self.process.refresh();
        self.registry.gather()
    }
}

fn add<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C, MetricsError> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

/// A counter with one label, whose known values show as zero from the start.
fn counter(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
    values: &[&str],
) -> Result<IntCounterVec, MetricsError> {
    let metric = IntCounterVec::new(Opts::new(name, help), &[label])?;
    for value in values {
        metric.get_metric_with_label_values(&[value])?;
    }
    add(registry, metric)
}

/// Counts something that is open for as long as this lives.
#[derive(Debug)]
pub struct Active(IntGauge);

impl Active {
    /// One more.
    #[must_use]
    pub fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_their_documented_names() {
        let metrics = Metrics::try_new().unwrap();
        let open = Active::new(&metrics.websocket_connections_active);
        metrics.http_requests.with_label_values(&["200"]).inc();
        let text = String::from_utf8(metrics.render().unwrap()).unwrap();
        assert!(text.contains("\nwebsocket_connections_active 1\n"), "{text}");
        assert!(text.contains("http_requests_total{status=\"200\"} 1"));
        for name in [
            "websocket_messages_received_total",
            "websocket_messages_sent_total",
            "websocket_message_processing_time_seconds_bucket",
            "websocket_message_processing_time_seconds_max 0",
            "websocket_message_processing_time_percentile_seconds{phi=\"0.99\"} 0",
            "tomcat_connections_current_connections 0",
            "process_files_open_files",
            "websocket_outbox_dropped_total",
            "tls_handshakes_total{protocol=\"TLSv1.3\"} 0",
            "tls_handshake_errors_total{reason=\"not_tls\"} 0",
            "tls_certificate_reloads_total{result=\"failed\"} 0",
            "proxy_protocol_headers_total{version=\"2\"} 0",
            "proxy_protocol_errors_total{reason=\"untrusted\"} 0",
        ] {
            assert!(text.contains(name), "{name}");
        }
        drop(open);
        assert_eq!(metrics.websocket_connections_active.get(), 0);
    }
}

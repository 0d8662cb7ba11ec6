//! Every metric of the backend, once: its name, help and labels.
//!
//! Names are those of the Micrometer meters of the Spring service this one
//! stands in for (`websocket.connections.active`), in Prometheus' spelling. No
//! label is ever a user or a destination.

mod auth;
mod presence;
mod relay;
mod sock_js;
mod socket_io;
mod stomp;
mod store;

use prometheus::core::Collector;
use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

pub use auth::AuthMetrics;
pub use presence::PresenceMetrics;
pub use relay::RelayMetrics;
pub use sock_js::SockJsMetrics;
pub use socket_io::SocketIoMetrics;
pub use stomp::StompMetrics;
pub use store::StoreMetrics;

/// Seconds: from 10 µs to 2.5 s.
const PROCESSING_BUCKETS: [f64; 12] =
    [1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 5e-3, 2.5e-2, 0.1, 0.5, 2.5];

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
    pub websocket_message_processing_time: Histogram,
    /// Clients closed with 4500 because they read too slowly, by `reason`:
    /// `buffer` or `time`.
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

/// TLS that ends here.
#[derive(Debug)]
pub struct TlsMetrics {
    /// Handshakes by `protocol`: `TLSv1.2`, `TLSv1.3`.
    pub handshakes: IntCounterVec,
    /// Handshakes that failed, by `reason`: `alert` (the client refused, for
    /// instance our certificate), `closed` (it left), `not_tls` (such as plain
    /// HTTP), `protocol` (nothing in common, or malformed), `timeout`.
    pub handshake_errors: IntCounterVec,
    /// Certificates read again, by `result`: `ok`, or `failed` while the old one
    /// stays in force.
    pub certificate_reloads: IntCounterVec,
}

/// PROXY protocol headers.
#[derive(Debug)]
pub struct ProxyProtocolMetrics {
    /// Headers by `version`: `1`, `2`.
    pub headers: IntCounterVec,
    /// Connections closed for want of a header, by `reason`: `closed` (the peer
    /// left), `malformed`, `missing`, `timeout`, `untrusted`.
    pub errors: IntCounterVec,
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
            websocket_message_processing_time: add(
                &registry,
                Histogram::with_opts(
                    HistogramOpts::new(
                        "websocket_message_processing_time_seconds",
                        "Time from a SEND to its last delivery into an outbox",
                    )
                    .buckets(PROCESSING_BUCKETS.to_vec()),
                )?,
            )?,
            slow_consumers: counter(
                &registry,
                "websocket_slow_consumers_total",
                "Clients closed because they read too slowly",
                "reason",
                &["buffer", "time"],
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
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

impl TlsMetrics {
    fn try_new(registry: &Registry) -> Result<Self, MetricsError> {
        Ok(Self {
            handshakes: counter(
                registry,
                "tls_handshakes_total",
                "TLS handshakes",
                "protocol",
                &["TLSv1.2", "TLSv1.3"],
            )?,
            handshake_errors: counter(
                registry,
                "tls_handshake_errors_total",
                "TLS handshakes that failed",
                "reason",
                &["alert", "closed", "not_tls", "protocol", "timeout"],
            )?,
            certificate_reloads: counter(
                registry,
                "tls_certificate_reloads_total",
                "Certificates read again",
                "result",
                &["failed", "ok"],
            )?,
        })
    }
}

impl ProxyProtocolMetrics {
    fn try_new(registry: &Registry) -> Result<Self, MetricsError> {
        Ok(Self {
            headers: counter(
                registry,
                "proxy_protocol_headers_total",
                "PROXY protocol headers",
                "version",
                &["1", "2"],
            )?,
            errors: counter(
                registry,
                "proxy_protocol_errors_total",
                "Connections closed for want of a PROXY protocol header",
                "reason",
                &["closed", "malformed", "missing", "timeout", "untrusted"],
            )?,
        })
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

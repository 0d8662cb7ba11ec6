//! Connections before HTTP: TLS and the PROXY protocol.

use prometheus::{IntCounterVec, Registry};

use super::{MetricsError, counter};

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

impl TlsMetrics {
    pub(super) fn try_new(registry: &Registry) -> Result<Self, MetricsError> {
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
    pub(super) fn try_new(registry: &Registry) -> Result<Self, MetricsError> {
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

//! SockJS sessions.

use prometheus::{IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};

use super::{MetricsError, add, counter};

/// Spring's names for the kinds of transport.
const TRANSPORTS: [&str; 3] = ["websocket", "http-streaming", "http-polling"];

/// SockJS sessions.
#[derive(Debug)]
pub struct SockJsMetrics {
    /// Open sessions by the `transport` that they began with: `websocket`,
    /// `http-streaming`, `http-polling`.
    pub sessions_active: IntGaugeVec,
    /// Sessions that began, by `transport`.
    pub sessions_opened: IntCounterVec,
    /// Sessions that ended, by `reason`: `session` (either side closed it, or
    /// STOMP did), `abandoned` (no receiver for the disconnect delay),
    /// `interrupted` (the connection broke), `malformed` (bad JSON on a
    /// WebSocket, or no WebSocket frames), `overflow` (too much waited for a
    /// receiver).
    pub sessions_closed: IntCounterVec,
    /// Sessions above `max-connections`, refused with 503.
    pub sessions_refused: IntCounter,
}

impl SockJsMetrics {
    pub(super) fn try_new(registry: &Registry) -> Result<Self, MetricsError> {
        let active = Opts::new("sockjs_sessions_active", "Open SockJS sessions");
        let sessions_active = add(registry, IntGaugeVec::new(active, &["transport"])?)?;
        for transport in TRANSPORTS {
            sessions_active.get_metric_with_label_values(&[transport])?;
        }
        Ok(Self {
            sessions_active,
            sessions_opened: counter(
                registry,
                "sockjs_sessions_opened_total",
                "SockJS sessions that began",
                "transport",
                &TRANSPORTS,
            )?,
            sessions_closed: counter(
                registry,
                "sockjs_sessions_closed_total",
                "SockJS sessions that ended",
                "reason",
                &["session", "abandoned", "interrupted", "malformed", "overflow"],
            )?,
            sessions_refused: add(
                registry,
                IntCounter::new("sockjs_sessions_refused_total", "SockJS sessions above max-connections")?,
            )?,
        })
    }
}

//! Socket.IO sessions.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::{MetricsError, add, counter};

/// Socket.IO sessions.
#[derive(Debug)]
pub struct SocketIoMetrics {
    /// Open Engine.IO sessions by `transport`: `polling`, `websocket`.
    pub sessions_active: IntGaugeVec,
    /// Sessions opened, by their first `transport`.
    pub sessions: IntCounterVec,
    /// Sessions closed, by `reason`: `transport_close` (the client left),
    /// `transport_error`, `ping_timeout`, `parse_error`, `protocol` (no
    /// Socket.IO packet, at the wrong time, or no namespace in time),
    /// `limit` (it sent too fast), `slow_consumer`, `stale` (heartbeats unanswered), `server` (the
    /// application or the drain).
    pub sessions_closed: IntCounterVec,
    /// Upgrades from polling to WebSocket, by `result`: `completed`, `failed`.
    pub upgrades: IntCounterVec,
    /// Requests refused, by `reason`: `unknown_transport`, `unknown_session`
    /// (polling without stickiness shows here), `method`, `bad_request`,
    /// `forbidden`, `protocol`, `full`.
    pub refusals: IntCounterVec,
    /// Clients in namespaces; one session may be in several.
    pub clients_active: IntGauge,
    /// Clients that were not let into a namespace, by `reason`: `namespace`
    /// (there is none of that name), `refused`.
    pub connect_errors: IntCounterVec,
    /// Rooms with a client of this instance.
    pub rooms_active: IntGauge,
    /// `heartbeat` events sent.
    pub heartbeats_sent: IntCounter,
    /// `heartbeat` events that were answered, by an event or an
    /// acknowledgement.
    pub heartbeats_answered: IntCounter,
    /// Clients removed since they left heartbeats unanswered.
    pub stale_clients: IntCounter,
    /// Acknowledgements that clients owed when there were too many of them.
    pub acks_dropped: IntCounter,
}

impl SocketIoMetrics {
    pub(super) fn try_new(registry: &Registry) -> Result<Self, MetricsError> {
        let count = |name: &str, help: &str| add(registry, IntCounter::new(name, help)?);
        let gauge = |name: &str, help: &str| add(registry, IntGauge::new(name, help)?);
        let sessions_active = IntGaugeVec::new(
            Opts::new("socketio_sessions_active", "Open Engine.IO sessions"),
            &["transport"],
        )?;
        for transport in TRANSPORTS {
            sessions_active.get_metric_with_label_values(&[transport])?;
        }
        Ok(Self {
            sessions_active: add(registry, sessions_active)?,
            sessions: counter(
                registry,
                "socketio_sessions_total",
                "Engine.IO sessions opened",
                "transport",
                &TRANSPORTS,
            )?,
            sessions_closed: counter(
                registry,
                "socketio_sessions_closed_total",
                "Engine.IO sessions closed",
                "reason",
                &[
                    "transport_close",
                    "transport_error",
                    "ping_timeout",
                    "parse_error",
                    "protocol",
                    "limit",
                    "slow_consumer",
                    "stale",
                    "server",
                ],
            )?,
            upgrades: counter(
                registry,
                "socketio_upgrades_total",
                "Upgrades from polling to WebSocket",
                "result",
                &["completed", "failed"],
            )?,
            refusals: counter(
                registry,
                "socketio_requests_refused_total",
                "Engine.IO requests refused",
                "reason",
                &[
                    "unknown_transport",
                    "unknown_session",
                    "method",
                    "bad_request",
                    "forbidden",
                    "protocol",
                    "full",
                ],
            )?,
            clients_active: gauge("socketio_clients_active", "Clients in namespaces")?,
            connect_errors: counter(
                registry,
                "socketio_connect_errors_total",
                "Clients not let into a namespace",
                "reason",
                &["namespace", "refused"],
            )?,
            rooms_active: gauge("socketio_rooms_active", "Rooms with a client of this instance")?,
            heartbeats_sent: count("socketio_heartbeats_sent_total", "Heartbeat events sent")?,
            heartbeats_answered: count("socketio_heartbeats_answered_total", "Heartbeat events answered")?,
            stale_clients: count(
                "socketio_stale_clients_total",
                "Clients removed for unanswered heartbeats",
            )?,
            acks_dropped: count("socketio_acks_dropped_total", "Acknowledgements no longer waited for")?,
        })
    }
}

/// Values of `transport`.
const TRANSPORTS: [&str; 2] = ["polling", "websocket"];

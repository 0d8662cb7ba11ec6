//! `/health/websocket`: the health of the Socket.IO gateway, with the keys that
//! its monitors know.

use http::StatusCode;
use serde::Serialize;

use super::{Lifecycle, Report};

/// What is said besides the fixed keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebSocketHealth<'a> {
    /// Namespace of the gateway, as `/chat`.
    pub endpoint: &'a str,
    /// Name of the instance.
    pub instance: &'a str,
    /// Open connections.
    pub connections: Connections,
}

/// Connections of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Connections {
    /// WebSockets and sessions of every kind.
    pub websocket: i64,
    /// TCP connections, those of WebSockets included.
    pub tcp: i64,
    /// As many TCP connections are served.
    pub max: usize,
}

#[derive(Serialize)]
struct Body<'a> {
    status: &'a str,
    websocket: &'a str,
    endpoint: &'a str,
    features: Features,
    instance: &'a str,
    connections: Connections,
}

/// What the gateway can do: the same for every configuration.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the keys of the reference")]
struct Features {
    heartbeat: bool,
    sticky_session: bool,
    authentication: bool,
    widget_support: bool,
    reconnection: bool,
}

impl WebSocketHealth<'_> {
    /// `healthy`, or `unhealthy` and 503 once draining has started.
    #[must_use]
    pub fn report(self, lifecycle: &Lifecycle) -> Report {
        let (code, status, websocket) = if lifecycle.draining().is_cancelled() {
            (StatusCode::SERVICE_UNAVAILABLE, "unhealthy", "unavailable")
        } else {
            (StatusCode::OK, "healthy", "available")
        };
        let Self { endpoint, instance, connections } = self;
        let features = Features {
            heartbeat: true,
            sticky_session: true,
            authentication: true,
            widget_support: true,
            reconnection: true,
        };
        let body = Body { status, websocket, endpoint, features, instance, connections };
        Report { code, body: super::report::json(&body) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_the_reference_come_first() {
        let connections = Connections { websocket: 3, tcp: 4, max: 10_000 };
        let health = WebSocketHealth { endpoint: "/chat", instance: "b1", connections };
        let lifecycle = Lifecycle::default();
        let report = health.report(&lifecycle);
        assert_eq!(report.code, StatusCode::OK);
        assert_eq!(
            report.body,
            r#"{"status":"healthy","websocket":"available","endpoint":"/chat","#.to_owned()
                + r#""features":{"heartbeat":true,"stickySession":true,"authentication":true,"#
                + r#""widgetSupport":true,"reconnection":true},"#
                + r#""instance":"b1","connections":{"websocket":3,"tcp":4,"max":10000}}"#
        );
        lifecycle.draining().cancel();
        let report = health.report(&lifecycle);
        assert_eq!(report.code, StatusCode::SERVICE_UNAVAILABLE);
        assert!(report.body.starts_with(r#"{"status":"unhealthy","websocket":"unavailable","#));
    }
}

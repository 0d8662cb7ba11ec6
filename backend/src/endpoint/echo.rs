//! `/echo`: every WebSocket message comes back as it was.
//!
//! One message is in flight at a time, so a slow reader slows its own writes
//! down. Nothing is sent of the server's own accord: no pings, so that idle
//! timeouts in front of it can be seen.

use tokio::time::Instant;

use crate::auth::AuthError;
use crate::metrics::Active;
use crate::ws::{CloseCode, Event, Failure, Reading, Socket};

use super::identity::expires_at;
use super::{Opened, Services};

/// Serves one echo WebSocket until it closes, its client's token expires, or the
/// server drains.
pub async fn serve(mut socket: Socket, services: &Services, opened: Opened) {
    let Opened { client, jitter, .. } = opened;
    let _active = Active::new(&services.metrics.websocket_connections_active);
    let lifecycle = &services.lifecycle;
    let leave = async {
        lifecycle.closing().cancelled().await;
        tokio::time::sleep(services.jitter_window().mul_f64(jitter)).await;
    };
    let expired = async {
        match expires_at(&client, Instant::now()) {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(leave, expired);
    let (code, reason) = loop {
        let reading = if socket.is_unflushed() { Reading::Paused } else { Reading::On };
        let event = tokio::select! {
            event = socket.event(reading) => event,
            () = &mut leave => break services.leaving(),
            () = &mut expired => {
                let error = services.security.ended(AuthError::Expired, client.address);
                tracing::debug!(%error, "echo closed");
                break (CloseCode::PolicyViolation, "token expired");
            }
            () = lifecycle.aborting().cancelled() => return,
        };
        match event {
            Event::Text(payload) => {
                count(services);
                socket.queue_text(payload);
            }
            Event::Binary(payload) => {
                count(services);
                socket.queue_binary(payload);
            }
            Event::Alive | Event::Flushed => {}
            Event::Closed(_) => break (CloseCode::Normal, ""),
            Event::Failed(failure) => match ended_by(services, failure) {
                Some(closing) => break closing,
                None => return,
            },
        }
    };
    let deadline = Instant::now() + services.config.websocket.close_timeout;
    tokio::select! {
        () = socket.close(code, reason, deadline) => {}
        () = lifecycle.aborting().cancelled() => {}
    }
}

fn count(services: &Services) {
    services.metrics.websocket_messages_received.inc();
    services.metrics.websocket_messages_sent.inc();
}

/// Counts a failure; the close frame that it still allows.
pub(super) fn ended_by(services: &Services, failure: Failure) -> Option<(CloseCode, &'static str)> {
    let errors = &services.metrics.websocket_connection_errors;
    match failure {
        Failure::Protocol => {
            errors.with_label_values(&["protocol"]).inc();
            Some((CloseCode::ProtocolError, "protocol error"))
        }
        Failure::TooLarge => {
            errors.with_label_values(&["protocol"]).inc();
            Some((CloseCode::MessageTooBig, "message too big"))
        }
        Failure::Io => {
            errors.with_label_values(&["io"]).inc();
            None
        }
    }
}

//! `/connections`: the open connections of clients, in the order they were accepted. ELB tells nothing of
//! the kind; the identifier is `conn_trace_id` of its logs.
//!
//! Seconds to the idle timeout count from the last byte in either direction. While a request waits for its
//! target, the timer that runs is that of the request, and the number is a lower bound.

use std::{
    net::{IpAddr, SocketAddr},
    time::SystemTime,
};

use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::time::Instant;

use super::{
    AdminState,
    api_error::ApiError,
    control::InForce,
    listeners,
    query::{Query, answer, present},
};
use crate::{
    client::Connection,
    model::{Listener, Model},
    tls::accept::TlsInfo,
};

/// Parameters besides those of paging.
pub(super) const PARAMETERS: &[&str] = &["ListenerArn", "Client"];

/// Connections that are looked at under one lock.
const BATCH: usize = 1000;

/// The connections of a listener or a client address, or all.
pub(super) fn list(
    state: &AdminState,
    in_force: &InForce,
    query: &Query,
    now: Instant,
) -> Result<Value, ApiError> {
    let listener = match query.one("ListenerArn")? {
        Some(arn) => Some(listeners::by_arn(&in_force.model, arn)?.listener.bind),
        None => None,
    };
    let client = client_of(query)?;
    let wanted = |connection: &Connection| {
        listener.is_none_or(|bind| accepts(bind, connection.local))
            && client.is_none_or(|ip| connection.client.ip().to_canonical() == ip.to_canonical())
    };
    let (mut from, size) = (query.marker()?, query.page_size()?);
    let mut page = Vec::new();
    loop {
        let batch = state.connections.page(from, BATCH);
        for connection in &batch {
            from = connection.listed.number();
            if !wanted(connection) {
                continue;
            }
            if page.len() == size {
                return Ok(answer("Connections", page, Some(from.to_string())));
            }
            page.push(describe(&in_force.model, connection, now));
        }
        if batch.len() < BATCH {
            return Ok(answer("Connections", page, None));
        }
        from = from.saturating_add(1);
    }
}

/// The client's address that is asked for, if one is.
pub(super) fn client_of(query: &Query) -> Result<Option<IpAddr>, ApiError> {
    let Some(text) = query.one("Client")? else { return Ok(None) };
    let client = text.parse();
    client
        .map(Some)
        .map_err(|_| ApiError::validation(format!("'Client' value '{text}' must be an IP address")))
}

/// Whether connections of `local` are accepted by a socket bound to `bind`.
fn accepts(bind: SocketAddr, local: SocketAddr) -> bool {
    bind.port() == local.port() && (bind.ip().is_unspecified() || bind.ip() == local.ip())
}

/// The listener that accepted a connection; `None` if it has gone. An exact address goes before all addresses.
fn listener_of(model: &Model, local: SocketAddr) -> Option<&Listener> {
    let mut accepting: Vec<_> =
        listeners::all(model).map(|(_, listener)| listener).filter(|it| accepts(it.bind, local)).collect();
    accepting.sort_by_key(|listener| listener.bind.ip().is_unspecified());
    accepting.first().copied()
}

fn describe(model: &Model, connection: &Connection, now: Instant) -> Value {
    let listener = listener_of(model, connection.local);
    let meter = &connection.meter;
    let idle = now.saturating_duration_since(meter.last_byte());
    let left = connection.usage.idle_timeout().saturating_sub(idle);
    let tls = connection.tls.as_ref().map(|tls| {
        present(json!({
            "Protocol": tls.protocol,
            "Cipher": tls.cipher,
            "ServerName": tls.server_name,
            "Alpn": if tls.is_http2() { "h2" } else { "http/1.1" },
        }))
    });
    let target = connection.usage.websocket();
    let accepted_at = meter.wall_clock(meter.accepted());
    present(json!({
        "ConnectionId": connection.trace_id.to_string(),
        "Client": connection.client.to_string(),
        "Local": connection.local.to_string(),
        "ListenerArn": listener.map(|listener| &listener.arn),
        "Protocol": if target.is_some() { "websocket" } else if connection.tls.as_ref().is_some_and(TlsInfo::is_http2) { "h2" } else { "http/1.1" },
        "Tls": tls,
        "AcceptedTime": timestamp(accepted_at),
        "AgeSeconds": seconds(now.saturating_duration_since(meter.accepted())),
        "RequestCount": connection.usage.requests(),
        "WebSocketTarget": target.map(|target| json!({ "Id": target.ip(), "Port": target.port() })),
        "ReceivedBytes": meter.received(),
        "SentBytes": meter.sent(),
        "IdleSeconds": seconds(idle),
        "SecondsToIdleTimeout": seconds(left),
        "Closing": connection.closing.is_cancelled(),
    }))
}

pub(super) fn timestamp(time: SystemTime) -> Option<String> {
    OffsetDateTime::from(time).format(&Rfc3339).ok()
}

/// Seconds with milliseconds.
pub(super) fn seconds(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

//! `/connections`: the open connections of clients, in the order they were accepted or another. ELB tells nothing
//! of the kind; the identifier is `conn_trace_id` of its logs.
//!
//! Seconds to the idle timeout count from the last byte in either direction. While a request waits for its
//! target, the timer that runs is that of the request, and the number is a lower bound.
//!
//! A page in the order of acceptance goes on where the one before has ended, whatever has closed meanwhile. The
//! other orders change while they are read: there a marker counts places.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
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
    client::{Connection, Connections},
    model::{Listener, Model},
};

/// Parameters besides those of paging.
pub(super) const PARAMETERS: &[&str] = &["ListenerArn", "Client", "Protocol", "Target", "OrderBy"];

/// Connections that are looked at under one lock.
const BATCH: usize = 1000;

/// What a connection speaks, in the words of ALPN where it has one.
const PROTOCOLS: [&str; 3] = ["http/1.1", "h2", "websocket"];

/// The connections that are asked for, in the order that is asked for, and how many they are.
pub(super) fn list(
    state: &AdminState,
    in_force: &InForce,
    query: &Query,
    now: Instant,
) -> Result<Value, ApiError> {
    let filter = Filter::read(in_force, query)?;
    let order = Order::read(query)?;
    let (from, size) = (query.marker()?, query.page_size()?);
    let describe = |connection: &Connection| describe(&in_force.model, connection, now);
    let (page, next, total) = match order {
        Order::AcceptedTime => {
            let (mut page, mut next, mut total) = (Vec::new(), None, 0_usize);
            visit(&state.connections, &filter, |connection| {
                total += 1;
                let number = connection.listed.number();
                if number >= from && page.len() < size {
                    page.push(describe(connection));
                } else if number >= from && next.is_none() {
                    next = Some(number.to_string());
                }
            });
            (page, next, total)
        }
        order => {
            let mut all = Vec::new();
            visit(&state.connections, &filter, |connection| {
                all.push((order.key(connection, now), connection.listed.number(), Arc::clone(connection)));
            });
            all.sort_unstable_by_key(|(key, number, _)| (*key, *number));
            let begin = usize::try_from(from).unwrap_or(usize::MAX);
            let wanted = all.iter().skip(begin).take(size);
            let end = begin.saturating_add(size);
            let next = (end < all.len()).then(|| end.to_string());
            (wanted.map(|(.., connection)| describe(connection)).collect(), next, all.len())
        }
    };
    let mut answer = answer("Connections", page, next);
    if let Some(members) = answer.as_object_mut() {
        members.insert("TotalCount".to_owned(), total.into());
    }
    Ok(answer)
}

/// Calls `visit` for each open connection that is asked for, in the order they were accepted.
fn visit(connections: &Connections, filter: &Filter<'_>, mut visit: impl FnMut(&Arc<Connection>)) {
    let mut from = 0;
    loop {
        let batch = connections.page(from, BATCH);
        batch.iter().filter(|connection| filter.wants(connection)).for_each(&mut visit);
        match batch.last() {
            Some(last) if batch.len() == BATCH => from = last.listed.number().saturating_add(1),
            _ => return,
        }
    }
}

/// Which connections are asked for.
#[derive(Debug)]
struct Filter<'q> {
    listener: Option<SocketAddr>,
    client: Option<IpAddr>,
    protocol: Option<&'q str>,
    target: Option<SocketAddr>,
}

impl<'q> Filter<'q> {
    fn read(in_force: &InForce, query: &'q Query) -> Result<Self, ApiError> {
        let listener = match query.one("ListenerArn")? {
            Some(arn) => Some(listeners::by_arn(&in_force.model, arn)?.listener.bind),
            None => None,
        };
        let protocol = query.one("Protocol")?;
        if let Some(other) = protocol.filter(|protocol| !PROTOCOLS.contains(protocol)) {
            let message = format!("'Protocol' value '{other}' must be one of '{}'", PROTOCOLS.join(", "));
            return Err(ApiError::validation(message));
        }
        let target = query.one("Target")?.map(|text| {
            let target = text.parse();
            target.map_err(|_| {
                ApiError::validation(format!("'Target' value '{text}' must be an IP address and a port"))
            })
        });
        Ok(Self { listener, client: client_of(query)?, protocol, target: target.transpose()? })
    }

    fn wants(&self, connection: &Connection) -> bool {
        self.listener.is_none_or(|bind| accepts(bind, connection.local))
            && self.client.is_none_or(|ip| connection.client.ip().to_canonical() == ip.to_canonical())
            && self.protocol.is_none_or(|protocol| protocol_of(connection) == protocol)
            && self.target.is_none_or(|target| connection.usage.websocket() == Some(target))
    }
}

/// `OrderBy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// As they were accepted.
    AcceptedTime,
    /// The one first that is idle for too long first.
    SecondsToIdleTimeout,
    /// The oldest first.
    AgeSeconds,
    /// The one first that has carried most.
    Bytes,
}

impl Order {
    fn read(query: &Query) -> Result<Self, ApiError> {
        match query.one("OrderBy")? {
            None | Some("AcceptedTime") => Ok(Self::AcceptedTime),
            Some("SecondsToIdleTimeout") => Ok(Self::SecondsToIdleTimeout),
            Some("AgeSeconds") => Ok(Self::AgeSeconds),
            Some("Bytes") => Ok(Self::Bytes),
            Some(other) => Err(ApiError::validation(format!(
                "'OrderBy' value '{other}' must be one of 'AcceptedTime, SecondsToIdleTimeout, AgeSeconds, Bytes'"
            ))),
        }
    }

    /// What is sorted by, the least first.
    fn key(self, connection: &Connection, now: Instant) -> u64 {
        let meter = &connection.meter;
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        match self {
            Self::AcceptedTime => connection.listed.number(),
            Self::SecondsToIdleTimeout => nanos(left(connection, now)),
            Self::AgeSeconds => u64::MAX - nanos(now.saturating_duration_since(meter.accepted())),
            Self::Bytes => u64::MAX.saturating_sub(meter.received().saturating_add(meter.sent())),
        }
    }
}

/// Time to the idle timeout, if no byte comes.
fn left(connection: &Connection, now: Instant) -> Duration {
    let idle = now.saturating_duration_since(connection.meter.last_byte());
    connection.usage.idle_timeout().saturating_sub(idle)
}

fn protocol_of(connection: &Connection) -> &'static str {
    let [http1, http2, websocket] = PROTOCOLS;
    match (connection.usage.websocket(), &connection.tls) {
        (Some(_), _) => websocket,
        (None, Some(tls)) if tls.is_http2() => http2,
        (None, _) => http1,
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
        "Protocol": protocol_of(connection),
        "Tls": tls,
        "AcceptedTime": timestamp(accepted_at),
        "AgeSeconds": seconds(now.saturating_duration_since(meter.accepted())),
        "RequestCount": connection.usage.requests(),
        "WebSocketTarget": target.map(|target| json!({ "Id": target.ip(), "Port": target.port() })),
        "ReceivedBytes": meter.received(),
        "SentBytes": meter.sent(),
        "IdleSeconds": seconds(idle),
        "SecondsToIdleTimeout": seconds(left(connection, now)),
        "Closing": connection.closing.is_cancelled(),
    }))
}

pub(super) fn timestamp(time: SystemTime) -> Option<String> {
    OffsetDateTime::from(time).format(&Rfc3339).ok()
}

/// Seconds with milliseconds.
pub(super) fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

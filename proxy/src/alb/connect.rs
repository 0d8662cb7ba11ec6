//! Connections to targets: from the pool, or new within their time limits.
//!
//! ELB pages: "Troubleshoot your Application Load Balancers" (10 seconds to
//! connect, 10 seconds for TLS), "Target groups for your Application Load
//! Balancers" (protocol and protocol version).

use std::{io, task::Poll, time::Duration};

use bytes::Bytes;
use tokio::{
    net::TcpStream,
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{error::Cause, exchange::Exchange, fault, response, state::GroupState};
use crate::{
    headers::websocket::RequestKind,
    metrics::OpenConnection,
    target_groups::{
        OutstandingGuard, Target,
        http2_pool::{Http2Stream, MAX_STREAMS},
        pool::{TargetConnection, TargetIo},
    },
    tls::target::HandshakeError,
};

/// Bytes of one response that a target may send ahead of the client (128 KiB).
const STREAM_WINDOW: u32 = 128 * 1024;
/// Bytes of all responses on a connection: as much as its streams may have, so that a client that
/// does not read holds nobody else up.
#[expect(clippy::cast_possible_truncation, reason = "128 streams")]
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_STREAMS as u32;
/// Bytes of a request that are kept at most for a target that does not read (128 KiB).
const MAX_SEND_BUFFER: usize = 128 * 1024;
/// Bytes of a response head that are read: more than the limit, so that the limit is what refuses it.
#[expect(clippy::cast_possible_truncation, reason = "32 KiB")]
const MAX_HEAD: u32 = 2 * response::HEAD_LIMIT as u32;

/// Which connections a request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// An idle one, else a new one.
    Pool,
    /// A new one.
    New,
}

impl Source {
    /// An upgrade takes a new one, since it never comes back to the pool.
    #[must_use]
    pub fn of(kind: RequestKind) -> Self {
        match kind {
            RequestKind::Ordinary => Self::Pool,
            RequestKind::WebSocketUpgrade => Self::New,
        }
    }
}

/// A connection to the target for one request: an idle one, or a new one.
///
/// # Errors
///
/// What kept the target from being reached, or ended the request meanwhile.
pub async fn http1(
    exchange: &mut Exchange<'_>,
    group: &GroupState,
    guard: &OutstandingGuard,
    source: Source,
) -> Result<TargetConnection, Cause> {
    let target = guard.target();
    let pooled = match source {
        Source::Pool => target.pool().take(group.tls.is_some(), Instant::now()),
        Source::New => None,
    };
    exchange.context.reuses_connection = pooled.is_some();
    if let Some(connection) = pooled {
        return fault::reuse(exchange, group, connection);
    }
    let limits = Limits::of(exchange);
    let opening = async {
        let tcp = connect(group, target, Instant::now() + limits.connect).await?;
        secure(group, target, tcp, limits.handshake).await
    };
    unless_given_up(exchange, target, opening).await
}

/// A place on an HTTP/2 connection to the target: one that is open, or a new one.
///
/// # Errors
///
/// What kept the target from being reached, or ended the request meanwhile.
pub async fn http2(
    exchange: &mut Exchange<'_>,
    group: &GroupState,
    guard: &OutstandingGuard,
) -> Result<Http2Stream, Cause> {
    let target = guard.target();
    let idle = exchange.idle_timeout();
    let is_tls = group.tls.is_some();
    if let Some(stream) = target.http2_pool().take(is_tls, idle) {
        return fault::reuse_http2(exchange, group, stream);
    }
    let limits = Limits::of(exchange);
    let opening = async {
        let deadline = Instant::now() + limits.connect;
        let turn = timeout_at(deadline, target.http2_pool().opening.lock());
        let _turn = turn.await.map_err(|_| Cause::ConnectTimeout)?;
        if let Some(stream) = target.http2_pool().take(is_tls, idle) {
            return Ok(stream);
        }
        let tcp = connect(group, target, deadline).await?;
        let established = Instant::now();
        let connection = secure(group, target, tcp, limits.handshake).await?;
        // TLS has a time of its own; what is left of the other is for the settings.
        let deadline = deadline + established.elapsed();
        let sender = greeted(group, begin_http2(group, connection), deadline).await?;
        Ok(target.http2_pool().put(sender, is_tls, idle))
    };
    unless_given_up(exchange, target, Box::pin(opening)).await
}

/// How long the steps may take.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// All of it but TLS.
    connect: Duration,
    /// TLS.
    handshake: Duration,
}

impl Limits {
    fn of(exchange: &Exchange<'_>) -> Self {
        let timers = &exchange.context.state.load_balancer.timers;
        Self { connect: timers.connect, handshake: timers.target_handshake }
    }
}

/// Waits for a connection, unless the client leaves or the target is cut off.
async fn unless_given_up<T>(
    exchange: &mut Exchange<'_>,
    target: &Target,
    opening: impl Future<Output = Result<T, Cause>>,
) -> Result<T, Cause> {
    let waits = exchange.session.is_body_done();
    tokio::select! {
        biased;
        opened = opening => opened,
        // Without a body to come, all that the client can do now is leave.
        _ = exchange.session.read_body_or_idle(true), if waits => Err(Cause::ClientClosedRequest),
        () = exchange.shared.cut(target) => Err(Cause::Deregistered),
    }
}

/// A new connection.
async fn connect(group: &GroupState, target: &Target, deadline: Instant) -> Result<TcpStream, Cause> {
    let failed = match timeout_at(deadline, TcpStream::connect(target.addr())).await {
        Ok(Ok(tcp)) => {
            // Without it the target waits for bytes that Nagle holds back; a refusal costs only latency.
            drop(tcp.set_nodelay(true));
            return Ok(tcp);
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, target = %target.addr(), "connecting to the target failed");
            match error.kind() {
                io::ErrorKind::TimedOut => Cause::ConnectTimeout,
                _ => Cause::ConnectFailed,
            }
        }
        Err(_) => Cause::ConnectTimeout,
    };
    group.metrics.target_connection_error_count.inc();
    Err(failed)
}

/// Agrees on TLS if the group has it.
async fn secure(
    group: &GroupState,
    target: &Target,
    tcp: TcpStream,
    limit: Duration,
) -> Result<TargetConnection, Cause> {
    let open = group.load_balancer.connection_established();
    let Some(tls) = &group.tls else {
        return Ok(TargetConnection { io: TargetIo::Plain(tcp), open });
    };
    // Boxed: connections in clear text, the most, need not keep room for it.
    match Box::pin(tls.connect(target.addr().ip(), tcp, limit)).await {
        Ok(stream) => Ok(TargetConnection { io: TargetIo::Tls(stream), open }),
        Err(error) => {
            group.metrics.target_tls_negotiation_error_count.inc();
            tracing::debug!(%error, target = %target.addr(), "TLS handshake with the target failed");
            Err(match error {
                HandshakeError::TimedOut => Cause::TlsTimeout,
                HandshakeError::Failed(_) => Cause::TlsFailed,
            })
        }
    }
}

/// Counts a connection on which HTTP/2 does not begin in time as one that was not established.
async fn greeted<T>(
    group: &GroupState,
    greeting: impl Future<Output = Result<T, Cause>>,
    deadline: Instant,
) -> Result<T, Cause> {
    let greeted = timeout_at(deadline, greeting).await.unwrap_or(Err(Cause::ConnectTimeout));
    if greeted.is_err() {
        group.metrics.target_connection_error_count.inc();
    }
    greeted
}

/// Greets the target in HTTP/2 and waits for its settings, which say how many streams it takes.
async fn begin_http2(
    group: &GroupState,
    connection: TargetConnection,
) -> Result<h2::client::SendRequest<Bytes>, Cause> {
    let TargetConnection { io, open } = connection;
    let mut settings = h2::client::Builder::new();
    settings
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(MAX_SEND_BUFFER)
        .max_header_list_size(MAX_HEAD)
        // Frames for streams that were reset here are the target's delay, not its fault. Counted over the
        // connection's life they would end it, with the requests of other clients, after a thousand cancels.
        .max_local_error_reset_streams(None)
        // No stream may be opened, and so no number but 0 is seen, before the settings are here.
        .initial_max_send_streams(0);
    let (sender, driver) =
        settings.handshake::<_, Bytes>(io).await.map_err(|error| super::http2_target::failure(&error))?;
    let (settled, is_settled) = oneshot::channel();
    group.group.spawn_connection(drive(driver, sender.clone(), settled, open));
    is_settled.await.map_err(|_| Cause::BadResponse)?;
    Ok(sender)
}

/// Moves a connection's frames until it is closed; says once that the target's settings have come. Until
/// then the connection lasts no longer than somebody waits for them.
async fn drive(
    mut driver: h2::client::Connection<TargetIo, Bytes>,
    sender: h2::client::SendRequest<Bytes>,
    settled: oneshot::Sender<()>,
    open: OpenConnection,
) {
    let mut waiting = Some((sender, settled));
    let ended = std::future::poll_fn(|cx| {
        let polled = std::pin::Pin::new(&mut driver).poll(cx);
        if let Some((_, settled)) = waiting.take_if(|(sender, _)| sender.current_max_send_streams() > 0) {
            // Whoever waited may have given up.
            settled.send(()).unwrap_or_default();
        }
        let is_given_up = waiting.as_mut().is_some_and(|(_, settled)| settled.poll_closed(cx).is_ready());
        if is_given_up { Poll::Ready(Ok(())) } else { polled }
    });
    if let Err(error) = ended.await {
        tracing::debug!(%error, "HTTP/2 connection to a target ended");
    }
    drop(open);
}

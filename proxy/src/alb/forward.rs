//! The `forward` action: target, connection, request, response.
//!
//! ELB pages: "Routing algorithms", "Sticky sessions", "How Elastic Load
//! Balancing works". A request is sent to one target, once: a connection that
//! fails is not tried again elsewhere, and the keep-alive race is a 502.

use std::{io, pin::pin, sync::Arc};

use http::HeaderValue;
use pingora::{Error, ErrorType, Result, protocols::http::v1::client::HttpSession};
use rand::Rng;
use tokio::{net::TcpStream, time::Instant};

use super::{
    error::Cause,
    exchange::{Exchange, Outcome, head_size, within},
    request::{self, Target},
    response,
    state::GroupState,
    stickiness::Sticky,
    target_stream::TargetStream,
    upgrade,
};
use crate::{
    headers::{forwarded::XffOutcome, trace_id, websocket::RequestKind},
    target_groups::{OutstandingGuard, pool::TargetConnection},
};

/// Carries a request to a target of `group` and its response back.
///
/// # Errors
///
/// The cause for which the load balancer answers by itself.
pub async fn forward(
    exchange: &mut Exchange<'_>,
    group: &Arc<GroupState>,
    xff: XffOutcome,
) -> Result<Outcome, Cause> {
    exchange.context.group = Some(Arc::clone(group));
    let sticky = Sticky::decide(exchange, group);
    let selected = group.group.select(sticky.target()).map_err(|_| Cause::NoTargets)?;
    sticky.count(group, &selected);
    let guard = selected.target.begin();
    group.metrics.request_count.inc();
    if selected.fail_open {
        group.metrics.unhealthy_routing_request_count.inc();
    }
    exchange.context.target = Some(guard.target().addr());

    let head = request_head(exchange, xff)?;
    let kind = kind_of(exchange);
    let connection = connect(exchange, group, &guard, kind).await?;
    let mut target = HttpSession::new(Box::new(TargetStream::new(connection)));
    let idle = exchange.idle_timeout();
    within(idle, target.write_request_header(head)).await.map_err(|_| Cause::TargetClosed)?;
    exchange.context.dispatched = Some(Instant::now());

    let upload = await_response(exchange, &mut target, &guard).await?;
    note_response(exchange, group, &target)?;
    let cookies = sticky.set_cookies(exchange, group, guard.target().addr());
    if target.get_status() == Some(http::StatusCode::SWITCHING_PROTOCOLS) {
        return match kind {
            RequestKind::WebSocketUpgrade => upgrade::upgrade(exchange, target, guard, cookies).await,
            RequestKind::Ordinary => Err(Cause::BadResponse),
        };
    }
    relay_response(exchange, &mut target, &guard, upload, cookies).await?;
    release(exchange, target, &guard).await;
    Ok(Outcome::Done)
}

fn kind_of(exchange: &Exchange<'_>) -> RequestKind {
    let request = exchange.request();
    RequestKind::of(&request.method, request.version, &request.headers)
}

fn request_head(
    exchange: &mut Exchange<'_>,
    xff: XffOutcome,
) -> Result<Box<pingora::http::RequestHeader>, Cause> {
    let created = exchange.context.connection.meter.wall_clock(exchange.context.created);
    let seconds = created.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let incoming = exchange.request().headers.get("x-amzn-trace-id").map(HeaderValue::as_bytes);
    let trace_id = trace_id::outgoing(incoming, seconds, rand::rng().random());
    let has_body = !exchange.session.is_body_empty();
    if exchange.is_h2() && has_body {
        exchange.session.req_header_mut().extensions_mut().insert(request::HasBody);
    }
    let request = exchange.request();
    let settings = &exchange.context.state.headers;
    let head = request::for_target(request, Target::of(request), kind_of(exchange), settings, xff, &trace_id)
        .map_err(|_| Cause::BadRequest)?;
    exchange.context.trace_id = Some(trace_id);
    Ok(head)
}

/// A connection to the target: an idle one, or a new one within 10 seconds.
///
/// An upgrade takes a new one, since it never comes back to the pool.
async fn connect(
    exchange: &Exchange<'_>,
    group: &GroupState,
    guard: &OutstandingGuard,
    kind: RequestKind,
) -> Result<TargetConnection, Cause> {
    let target = guard.target();
    if kind == RequestKind::Ordinary
        && let Some(connection) = target.pool().take(Instant::now())
    {
        return Ok(connection);
    }
    let limit = exchange.context.state.load_balancer.timers.connect;
    let connected = tokio::select! {
        connected = tokio::time::timeout(limit, TcpStream::connect(target.addr())) => connected,
        () = target.terminated().cancelled() => return Err(Cause::Deregistered),
    };
    match connected {
        Ok(Ok(tcp)) => {
            let open = exchange.context.state.load_balancer.metrics.connection_established();
            // Without it the target waits for bytes that Nagle holds back; a refusal costs only latency.
            drop(tcp.set_nodelay(true));
            Ok(TargetConnection { tcp, open })
        }
        Ok(Err(error)) => {
            group.metrics.target_connection_error_count.inc();
            tracing::debug!(%error, target = %target.addr(), "connecting to the target failed");
            Err(if error.kind() == io::ErrorKind::TimedOut {
                Cause::ConnectTimeout
            } else {
                Cause::ConnectFailed
            })
        }
        Err(_) => {
            group.metrics.target_connection_error_count.inc();
            Err(Cause::ConnectTimeout)
        }
    }
}

/// Whether the client's request body is still being carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upload {
    /// Bytes may still come from the client.
    Running,
    /// All of it has been sent to the target.
    Done,
    /// The target takes no more of it. What the client still sends is not read: it must not
    /// be taken for a next request.
    Refused,
}

/// Sends the request body until the target's response head has come.
async fn await_response(
    exchange: &mut Exchange<'_>,
    target: &mut HttpSession,
    guard: &OutstandingGuard,
) -> Result<Upload, Cause> {
    let idle = exchange.idle_timeout();
    let mut upload = begin_upload(exchange).await?;
    let mut deadline = pin!(tokio::time::sleep(idle));
    loop {
        tokio::select! {
            biased;
            head = target.read_response() => match head {
                // An interim response is between the target and us: the client had its 100 already.
                Ok(_) if target.get_status().is_some_and(|status| status.is_informational() && status != 101) => {}
                Ok(_) => return Ok(upload),
                Err(error) => return Err(response_failure(&error)),
            },
            body = exchange.session.read_body_or_idle(upload == Upload::Done), if upload != Upload::Refused => {
                upload = carry_body(exchange, target, body, upload).await?;
            }
            () = &mut deadline => {
                return Err(if upload == Upload::Running { Cause::RequestTimeout } else { Cause::TargetTimeout });
            }
            () = guard.target().terminated().cancelled() => return Err(Cause::Deregistered),
            () = exchange.shared.terminated.cancelled() => return Err(Cause::Deregistered),
        }
        deadline.as_mut().reset(Instant::now() + idle);
    }
}

/// Answers `Expect: 100-continue` at once, as ELB does for HTTP/1.1; the header is not forwarded.
async fn begin_upload(exchange: &mut Exchange<'_>) -> Result<Upload, Cause> {
    if exchange.session.is_body_done() {
        return Ok(Upload::Done);
    }
    let expects_continue = exchange
        .request()
        .headers
        .get(http::header::EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if expects_continue && !exchange.is_h2() {
        let idle = exchange.idle_timeout();
        let answered = within(idle, exchange.session.write_continue_response()).await;
        answered.map_err(|_| Cause::ClientClosedBody)?;
    }
    Ok(Upload::Running)
}

/// Passes one piece of the request body on, or learns that the client has left.
async fn carry_body(
    exchange: &mut Exchange<'_>,
    target: &mut HttpSession,
    body: Result<Option<bytes::Bytes>>,
    upload: Upload,
) -> Result<Upload, Cause> {
    let idle = exchange.idle_timeout();
    let sent = match body {
        Ok(Some(bytes)) => {
            exchange.context.count_stream(bytes.len(), 0);
            within(idle, target.write_body(&bytes)).await.map(|_| Upload::Running)
        }
        Ok(None) => within(idle, target.finish_body()).await.map(|_| Upload::Done),
        Err(_) if upload == Upload::Running => return Err(Cause::ClientClosedBody),
        Err(_) => return Err(Cause::ClientClosedRequest),
    };
    // The target may refuse the rest and have answered: its response is read next.
    Ok(sent.unwrap_or(Upload::Refused))
}

/// What a failure to read the response head means.
fn response_failure(error: &Error) -> Cause {
    match error.etype() {
        ErrorType::ConnectionClosed | ErrorType::ReadError => Cause::TargetClosed,
        _ => Cause::BadResponse,
    }
}

fn note_response(exchange: &mut Exchange<'_>, group: &GroupState, target: &HttpSession) -> Result<(), Cause> {
    let now = Instant::now();
    let head = target.resp_header().ok_or(Cause::BadResponse)?;
    if head_size(&head.headers) > response::HEAD_LIMIT {
        return Err(Cause::BadResponse);
    }
    let context = &mut exchange.context;
    context.answered = Some(now);
    context.target_status = Some(head.status.as_u16());
    group.metrics.count_target_status(head.status.as_u16());
    if let Some(dispatched) = context.dispatched {
        group.metrics.target_response_time.observe(now.saturating_duration_since(dispatched).as_secs_f64());
    }
    Ok(())
}

/// Sends the response, and what is left of the request body, until the response has ended.
async fn relay_response(
    exchange: &mut Exchange<'_>,
    target: &mut HttpSession,
    guard: &OutstandingGuard,
    mut upload: Upload,
    cookies: Option<[HeaderValue; 2]>,
) -> Result<(), Cause> {
    let idle = exchange.idle_timeout();
    send_response_head(exchange, target, cookies).await?;
    let mut deadline = pin!(tokio::time::sleep(idle));
    loop {
        tokio::select! {
            biased;
            body = target.read_body_bytes() => match body {
                Ok(Some(bytes)) => {
                    exchange.context.count_stream(0, bytes.len());
                    let sent = within(idle, exchange.session.write_response_body(bytes, false)).await;
                    sent.map_err(|_| Cause::ClientClosedRequest)?;
                }
                Ok(None) => {
                    let ended = within(idle, exchange.session.finish_body()).await;
                    return ended.map_err(|_| Cause::ClientClosedRequest);
                }
                Err(error) => return Err(response_failure(&error)),
            },
            body = exchange.session.read_body_or_idle(upload == Upload::Done), if upload != Upload::Refused => {
                upload = carry_body(exchange, target, body, upload).await?;
            }
            () = &mut deadline => return Err(Cause::TargetTimeout),
            () = guard.target().terminated().cancelled() => return Err(Cause::Deregistered),
            () = exchange.shared.terminated.cancelled() => return Err(Cause::Deregistered),
        }
        deadline.as_mut().reset(Instant::now() + idle);
    }
}

async fn send_response_head(
    exchange: &mut Exchange<'_>,
    target: &HttpSession,
    cookies: Option<[HeaderValue; 2]>,
) -> Result<(), Cause> {
    let received = target.resp_header().ok_or(Cause::BadResponse)?;
    let version = exchange.request().version;
    let head = response::for_client(received, RequestKind::Ordinary, version, cookies.into_iter().flatten())
        .map_err(|_| Cause::BadResponse)?;
    let keep_alive = exchange.context.state.load_balancer.timers.client_keep_alive;
    let is_old = exchange.context.connection.meter.accepted().elapsed() >= keep_alive;
    if is_old || exchange.shared.draining.is_cancelled() {
        exchange.session.set_keepalive(None);
    }
    exchange.context.elb_status = Some(head.status.as_u16());
    exchange.context.responding = Some(Instant::now());
    exchange.context.count_stream(0, head_size(&head.headers));
    let idle = exchange.idle_timeout();
    let sent = within(idle, exchange.session.write_response_header(head)).await;
    sent.map_err(|_| Cause::ClientClosedRequest)
}

/// Gives the connection back to the pool if the target will take another request on it.
async fn release(exchange: &Exchange<'_>, mut target: HttpSession, guard: &OutstandingGuard) {
    target.respect_keepalive();
    if let Some(connection) = target.reuse().await.and_then(TargetStream::into_connection) {
        guard.target().pool().put(connection, Instant::now() + exchange.idle_timeout());
    }
}

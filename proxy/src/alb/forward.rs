//! The `forward` action: target, connection, request, response.
//!
//! ELB pages: "Routing algorithms", "Sticky sessions", "How Elastic Load
//! Balancing works". A request is sent to one target, once: a connection that
//! fails is not tried again elsewhere, and the keep-alive race is a 502, unless `retry` is on.

use std::sync::Arc;

use http::HeaderValue;
use pingora::{
    http::{RequestHeader, ResponseHeader},
    protocols::http::v1::client::HttpSession,
};
use rand::Rng;
use tokio::time::Instant;

use super::{
    authenticate,
    connect::{self, Source},
    error::Cause,
    exchange::{Exchange, Outcome, head_size},
    fault, grpc, http2_target,
    request::{self, Body, Made},
    response, retry,
    state::GroupState,
    stickiness::Sticky,
    target_stream::TargetStream,
    tls_headers, traced,
    transfer::{self, TargetSide, UploadProgress},
    transforms, upgrade,
    weighted_target_groups::Chosen,
};
use crate::{
    fault::Decision,
    headers::{forwarded::XffOutcome, trace_id, websocket::RequestKind},
    model::{ListenerProtocol, target_group::ProtocolVersion},
    stickiness::epoch_seconds,
    target_groups::OutstandingGuard,
};

/// Carries a request to a target of the `chosen` group and its response back.
///
/// # Errors
///
/// The cause for which the load balancer answers by itself.
pub async fn forward(
    exchange: &mut Exchange<'_>,
    chosen: &Chosen,
    xff: XffOutcome,
) -> Result<Outcome, Cause> {
    let group = &chosen.group;
    exchange.context.group = Some(Arc::clone(group));
    let request = exchange.request();
    grpc::check(group.protocol_version, request.version, &request.method, &request.headers)?;
    let decision = fault::decide(group);
    if let Some(ended) = fault::before_target(exchange, decision).await? {
        return Ok(ended);
    }
    let sticky = Sticky::decide(exchange, group);
    let selected = group.group.select(sticky.target(), rand::random).map_err(|_| Cause::NoTargets)?;
    sticky.count(group, &selected);
    let guard = selected.target.begin();
    group.metrics.request_count.inc();
    if exchange.is_grpc() {
        group.metrics.grpc_request_count.inc();
    }
    if selected.fail_open {
        exchange.context.fails_open = true;
        group.metrics.unhealthy_routing_request_count.inc();
    }
    exchange.context.target = Some(guard.target().addr());
    let carried = carry(exchange, chosen, guard, &sticky, xff, decision).await;
    // A response 5xx counts when it comes.
    let has_counted = exchange.context.target_status.is_some_and(|status| matches!(status, 500..=599));
    if carried.as_ref().is_err_and(|cause| cause.is_targets()) && !has_counted {
        selected.target.count_error();
    }
    carried
}

/// Carries a request to the target of `guard` and its response back.
async fn carry(
    exchange: &mut Exchange<'_>,
    chosen: &Chosen,
    guard: OutstandingGuard,
    sticky: &Sticky,
    xff: XffOutcome,
    decision: Decision,
) -> Result<Outcome, Cause> {
    let group = &chosen.group;
    let kind = kind_of(exchange);
    let head = request_head(exchange, kind, xff)?;
    fault::before_sending(exchange, decision, guard.target()).await?;
    if group.protocol_version != ProtocolVersion::Http1 {
        let answered = Box::pin(http2_target::request(exchange, group, &guard, &head)).await?;
        let cookies = note_response(exchange, chosen, &guard, sticky, &answered.head)?;
        Box::pin(http2_target::respond(exchange, &guard, answered, cookies)).await?;
        return Ok(Outcome::Done);
    }
    let again = retry::copy(exchange, group, &guard, &head);
    let asked = match (ask(exchange, group, guard, head, Source::of(kind)).await, again) {
        (Err(Cause::TargetClosed), Some((target, mut head))) if exchange.context.reuses_connection => {
            group.metrics.retried_requests.inc();
            traced::again(&mut exchange.context, &mut head, Cause::TargetClosed)?;
            // Boxed: requests that are sent once, the most, need not keep room for it.
            Box::pin(ask(exchange, group, target.begin(), head, Source::New)).await
        }
        (asked, _) => asked,
    };
    let (mut target, upload) = asked?;
    let head = target.session.resp_header().ok_or(Cause::BadResponse)?;
    let cookies = note_response(exchange, chosen, &target.guard, sticky, head)?;
    if target.session.get_status() == Some(http::StatusCode::SWITCHING_PROTOCOLS) {
        return match kind {
            RequestKind::WebSocketUpgrade => upgrade::upgrade(exchange, target, cookies).await,
            RequestKind::Ordinary => Err(Cause::BadResponse),
        };
    }
    let upload = transfer::relay_response(exchange, &mut target, upload, cookies).await?;
    // On a connection with half a request body the next request would be taken for the rest of it.
    if upload == UploadProgress::Done && !exchange.context.closes_connections {
        release(exchange, target).await;
    }
    Ok(Outcome::Done)
}

/// Sends a request to the target of `guard` until the response's head has come.
async fn ask(
    exchange: &mut Exchange<'_>,
    group: &GroupState,
    guard: OutstandingGuard,
    head: Box<RequestHeader>,
    source: Source,
) -> Result<(TargetSide, UploadProgress), Cause> {
    let connection = connect::http1(exchange, group, &guard, source).await?;
    let (stream, backlog) = TargetStream::new(connection);
    let stream = stream.throttled(fault::throttle(group));
    let mut target = TargetSide { session: HttpSession::new(Box::new(stream)), backlog, guard };
    target.session.write_request_header(head).await.map_err(|_| Cause::TargetClosed)?;
    exchange.context.dispatch(Instant::now());
    let upload = transfer::await_response(exchange, &mut target).await?;
    Ok((target, upload))
}

/// A request with a body is an ordinary one, whatever it asks to be upgraded to.
fn kind_of(exchange: &mut Exchange<'_>) -> RequestKind {
    if !exchange.session.is_body_empty() {
        return RequestKind::Ordinary;
    }
    let request = exchange.request();
    RequestKind::of(&request.method, request.version, &request.headers)
}

fn request_head(
    exchange: &mut Exchange<'_>,
    kind: RequestKind,
    xff: XffOutcome,
) -> Result<Box<RequestHeader>, Cause> {
    let created = exchange.context.connection.meter.wall_clock(exchange.context.created);
    let seconds = epoch_seconds(created);
    let incoming = exchange.request().headers.get("x-amzn-trace-id").map(HeaderValue::as_bytes);
    let trace_id = trace_id::outgoing(incoming, seconds, rand::rng().random());
    let body = if exchange.session.is_body_empty() { Body::None } else { Body::Some };
    let request = exchange.request();
    // What this connection spoke: its listener may have been changed since.
    let is_tls = exchange.context.connection.tls.is_some();
    let protocol = if is_tls { ListenerProtocol::Https } else { ListenerProtocol::Http };
    let made = Made { xff, trace_id: trace_id.clone(), protocol };
    let settings = &exchange.context.state.headers;
    let mut head = request::for_target(request, kind, body, settings, made).map_err(|_| Cause::BadRequest)?;
    if let Some(transformed) = &exchange.context.transformed {
        transforms::put(&mut head, transformed, settings).map_err(|_| Cause::TransformFailed)?;
    }
    let context = &exchange.context;
    tls_headers::set(&context.state.tls_headers, context.connection.tls.as_ref(), &mut head)
        .map_err(|_| Cause::Internal)?;
    authenticate::add_user_claims(&exchange.context, &mut head)?;
    exchange.context.trace_id = Some(trace_id);
    traced::begin(exchange, &mut head)?;
    Ok(head)
}

/// Notes what the target has answered; gives the cookies of stickiness that go with it.
fn note_response(
    exchange: &mut Exchange<'_>,
    chosen: &Chosen,
    guard: &OutstandingGuard,
    sticky: &Sticky,
    head: &ResponseHeader,
) -> Result<Vec<HeaderValue>, Cause> {
    let group = &chosen.group;
    let now = Instant::now();
    if head_size(&head.headers) > response::HEAD_LIMIT {
        return Err(Cause::BadResponse);
    }
    let context = &mut exchange.context;
    context.answered = Some(now);
    context.target_status = Some(head.status.as_u16());
    group.metrics.count_target_status(head.status.as_u16());
    if head.status.is_server_error() {
        guard.target().count_error();
    }
    if let Some(dispatched) = context.dispatched {
        group.metrics.target_response_time.observe(now.saturating_duration_since(dispatched).as_secs_f64());
    }
    Ok(sticky.set_cookies(exchange, chosen, guard.target().addr(), head))
}

/// Gives the connection back to the pool if the target will take another request on it.
async fn release(exchange: &Exchange<'_>, target: TargetSide) {
    let TargetSide { mut session, guard, .. } = target;
    session.respect_keepalive();
    let reusable = session.reuse().await.and_then(TargetStream::into_parts);
    if let Some((connection, unsent)) = reusable
        && unsent.is_empty()
    {
        guard.target().pool().put(connection, Instant::now() + exchange.idle_timeout());
    }
}

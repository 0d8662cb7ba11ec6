//! A request's part in its trace: what it brings, what its target is told, what is recorded at its end.
//!
//! Not of ELB: `traces` of the configuration. Without it nothing here does more than look whether it is there.

use http::{HeaderMap, HeaderValue};
use pingora::http::RequestHeader;
use rand::Rng as _;
use tokio::time::Instant;

use super::{context::Context, error::Cause, exchange::Exchange};
use crate::{
    access_log::record::{Record, Scheme},
    model::target_group::ProtocolVersion,
    stickiness::epoch_seconds,
    traces::{
        Tracer,
        id::SpanId,
        sampler::{Fresh, Incoming, Joined},
        span::{Attempt, Finished, Trace, WebSocket},
        traceparent::TraceParent,
    },
};

/// Bytes of `tracestate` that a span carries; more is left out, and goes to the target all the same.
const LONGEST_TRACE_STATE: usize = 1024;

/// What is known of a request's trace so far.
#[derive(Debug, Clone, Default)]
pub enum Traced {
    /// Nothing: traces are off, or the request has not got as far as a target.
    #[default]
    Undecided,
    /// It is not recorded.
    Unsampled,
    /// It will be.
    Sampled(Box<Recording>),
}

/// A request that will be recorded.
#[derive(Debug, Clone)]
pub struct Recording {
    trace: Trace,
    attempts: Vec<Begun>,
    /// Why its WebSocket was closed.
    closed: Option<&'static str>,
}

/// A time that a request was given to a target.
#[derive(Debug, Clone, Copy)]
struct Begun {
    span_id: SpanId,
    began: Instant,
    /// For all but the last: when it failed, and how.
    failed: Option<(Instant, Cause)>,
}

/// Notes that the request is about to go to a target, and tells the target of its trace.
///
/// # Errors
///
/// [`Cause::Internal`] when the field cannot be written, which hex digits always can.
pub(super) fn begin(exchange: &mut Exchange<'_>, head: &mut RequestHeader) -> Result<(), Cause> {
    let Some(tracer) = &exchange.context.state.load_balancer.tracer else { return Ok(()) };
    let headers = &exchange.session.req_header().headers;
    let joined = join(tracer, &exchange.context, Some(headers));
    let span_id = SpanId::from_random(rand::random());
    // A trace that the caller has named and that is not recorded goes on as if we were not there.
    if tracer.propagates() && (joined.sampled || !joined.by_traceparent) {
        tell(head, joined, span_id).map_err(|_| Cause::Internal)?;
    }
    exchange.context.traced = if joined.sampled {
        let begun = Begun { span_id, began: Instant::now(), failed: None };
        let mut recording = Recording::new(joined, headers);
        recording.attempts.push(begun);
        Traced::Sampled(Box::new(recording))
    } else {
        Traced::Unsampled
    };
    Ok(())
}

/// Notes that the target failed with `cause` and that the request, with `head`, is sent once more.
///
/// # Errors
///
/// As of [`begin`].
pub(super) fn again(context: &mut Context, head: &mut RequestHeader, cause: Cause) -> Result<(), Cause> {
    let Traced::Sampled(recording) = &mut context.traced else { return Ok(()) };
    let now = Instant::now();
    if let Some(last) = recording.attempts.last_mut() {
        last.failed = Some((now, cause));
    }
    let span_id = SpanId::from_random(rand::random());
    recording.attempts.push(Begun { span_id, began: now, failed: None });
    let tracer = context.state.load_balancer.tracer.as_ref();
    if tracer.is_some_and(|tracer| tracer.propagates()) {
        let parent = TraceParent { trace_id: recording.trace.trace_id, parent_id: span_id, sampled: true };
        head.insert_header("traceparent", parent.to_string()).map_err(|_| Cause::Internal)?;
    }
    Ok(())
}

/// Notes why the request's WebSocket was closed.
pub(super) fn closed(context: &mut Context, reason: &'static str) {
    if let Traced::Sampled(recording) = &mut context.traced {
        recording.closed = Some(reason);
    }
}

/// Records the request, which has ended at `now`, if it is sampled.
pub(super) fn finish(context: &Context, request: Option<&RequestHeader>, now: Instant) {
    let Some(tracer) = &context.state.load_balancer.tracer else { return };
    let decided_now;
    let recording = match &context.traced {
        Traced::Unsampled => return,
        Traced::Sampled(recording) => &**recording,
        Traced::Undecided => {
            let headers = request.map(|request| &request.headers);
            let joined = join(tracer, context, headers);
            if !joined.sampled {
                return;
            }
            let nothing = HeaderMap::new();
            decided_now = Recording::new(joined, headers.unwrap_or(&nothing));
            &decided_now
        }
    };
    let target = context.target_attempt();
    let record = context.record(request, now, target.as_slice());
    tracer.record(&Finished {
        trace: &recording.trace,
        record: &record,
        load_balancer_arn: &context.state.load_balancer.arn,
        cause: context.cause.map(Cause::name),
        attempts: &recording.attempts(context, &record, now),
        websocket: recording.websocket(context, now),
    });
}

fn join(tracer: &Tracer, context: &Context, headers: Option<&HeaderMap>) -> Joined {
    let first = |name: &str| headers?.get(name).map(HeaderValue::as_bytes);
    let is_one = headers.is_some_and(|headers| headers.get_all("traceparent").iter().nth(1).is_none());
    let outgoing = context.trace_id.as_ref().map(HeaderValue::as_bytes);
    let incoming = Incoming {
        traceparent: first("traceparent").filter(|_| is_one),
        amzn_trace_id: outgoing.or_else(|| first("x-amzn-trace-id")),
    };
    let epoch_seconds = epoch_seconds(context.connection.meter.wall_clock(context.created));
    tracer.join(incoming, Fresh { epoch_seconds, trace: rand::rng().random() })
}

/// Writes `traceparent`. A `tracestate` belongs to the caller's trace, and does not go with another.
fn tell(head: &mut RequestHeader, joined: Joined, span_id: SpanId) -> pingora::Result<()> {
    let Joined { trace_id, sampled, .. } = joined;
    head.insert_header("traceparent", TraceParent { trace_id, parent_id: span_id, sampled }.to_string())?;
    if !joined.by_traceparent {
        head.remove_header("tracestate");
    }
    Ok(())
}

impl Recording {
    fn new(joined: Joined, headers: &HeaderMap) -> Self {
        let trace = Trace {
            trace_id: joined.trace_id,
            parent_id: joined.parent_id,
            span_id: SpanId::from_random(rand::random()),
            trace_state: if joined.by_traceparent { trace_state(headers) } else { String::new() },
        };
        Self { trace, attempts: Vec::new(), closed: None }
    }

    fn attempts(&self, context: &Context, record: &Record<'_>, now: Instant) -> Vec<Attempt> {
        let Some((target, group)) = context.target.zip(context.group.as_deref()) else {
            return Vec::new();
        };
        let scheme = if group.tls.is_some() { Scheme::Https } else { Scheme::Http };
        let version = if group.protocol_version == ProtocolVersion::Http1 { "1.1" } else { "2" };
        let answer = record.targets.last().and_then(|target| target.status_code);
        // With a 101 the target has answered; what follows is the WebSocket's life.
        let end = if context.websocket { context.answered.unwrap_or(now) } else { now };
        let attempt = |begun: &Begun| {
            let (ended, cause, status_code) = match begun.failed {
                Some((failed, cause)) => (failed, Some(cause), None),
                None => (end, context.cause, answer),
            };
            Attempt {
                span_id: begun.span_id,
                target,
                scheme,
                version,
                began: context.time_of(begun.began),
                ended: context.time_of(ended),
                status_code,
                cause: cause.map(Cause::name),
            }
        };
        self.attempts.iter().map(attempt).collect()
    }

    fn websocket(&self, context: &Context, now: Instant) -> Option<WebSocket> {
        let upgraded = context.time_of(context.responding.unwrap_or(now));
        context.websocket.then(|| WebSocket { upgraded, reason: self.closed.unwrap_or("client_reset") })
    }
}

/// The lines of `tracestate`, joined.
fn trace_state(headers: &HeaderMap) -> String {
    let lines: Vec<&str> =
        headers.get_all("tracestate").iter().filter_map(|line| line.to_str().ok()).collect();
    let state = lines.join(",");
    if state.len() > LONGEST_TRACE_STATE { String::new() } else { state }
}

//! The spans of one request, from the facts of its access log record.
//!
//! Attributes by OpenTelemetry's stable semantic conventions for HTTP; what they
//! have no name for is `albeit.*`, by the names of the access log's fields. The
//! query is left out: it is where secrets are.

use std::{
    net::SocketAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use opentelemetry_proto::tonic::trace::v1::{
    Span, Status,
    span::{Event, SpanKind},
    status::StatusCode,
};

use super::{
    attributes::Attributes,
    id::{SpanId, TraceId},
};
use crate::access_log::record::{Classification, MatchedRule, Record, RequestLine, Scheme, Version};

/// `flags` of a span: sampled, and the bit next to it says whether it is known where the parent is.
const SAMPLED_AND_KNOWN: u32 = 0x101;
/// The parent is in another process.
const IS_REMOTE: u32 = 0x200;

/// Methods that a span may be named after; others would be as many as callers can think of.
const METHODS: [&str; 9] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

/// The trace that a recorded request belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The trace.
    pub trace_id: TraceId,
    /// The caller's span.
    pub parent_id: Option<SpanId>,
    /// The request's own span.
    pub span_id: SpanId,
    /// `tracestate` as it came with the `traceparent`.
    pub trace_state: String,
}

/// What is known of a request at its end.
#[derive(Debug, Clone)]
pub struct Finished<'a> {
    /// Its trace.
    pub trace: &'a Trace,
    /// Its access log record.
    pub record: &'a Record<'a>,
    /// The load balancer.
    pub load_balancer_arn: &'a str,
    /// Why the load balancer ended it, if it did.
    pub cause: Option<&'static str>,
    /// Each time it was given to a target.
    pub attempts: &'a [Attempt],
    /// What became of its WebSocket, if it became one.
    pub websocket: Option<WebSocket>,
}

/// A request given to a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its span.
    pub span_id: SpanId,
    /// The target.
    pub target: SocketAddr,
    /// How it is spoken to.
    pub scheme: Scheme,
    /// In which version.
    pub version: &'static str,
    /// When the target was chosen.
    pub began: SystemTime,
    /// When the target was done with it, or the load balancer with the target.
    pub ended: SystemTime,
    /// What it answered.
    pub status_code: Option<u16>,
    /// Why it was ended early.
    pub cause: Option<&'static str>,
}

/// The life of a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebSocket {
    /// When the 101 was sent.
    pub upgraded: SystemTime,
    /// Why it was closed.
    pub reason: &'static str,
}

/// The request's own span and one for each attempt.
#[must_use]
pub fn spans(finished: &Finished<'_>) -> Vec<Span> {
    let mut spans = Vec::with_capacity(1 + finished.attempts.len());
    spans.push(server(finished));
    let attempts = finished.attempts.iter().enumerate();
    spans.extend(attempts.map(|(number, attempt)| client(finished, number, attempt)));
    spans
}

fn server(finished: &Finished<'_>) -> Span {
    let Finished { trace, record, .. } = finished;
    let mut attributes = Attributes::default();
    let method = request(&record.request, &mut attributes);
    attributes.text("client.address", record.client.ip());
    attributes.int("client.port", record.client.port());
    if let Some(user_agent) = record.user_agent {
        attributes.bytes("user_agent.original", user_agent);
    }
    attributes.text_if("tls.cipher", record.ssl_cipher);
    // As the conventions spell it: TLSv1.3 is 1.3.
    attributes.text_if("tls.protocol.version", record.ssl_protocol.map(|it| it.trim_start_matches("TLSv")));
    let sent = record.elb_status_code.filter(|&status| is_sent(status));
    attributes.int_if("http.response.status_code", sent);
    let (status, error) = server_status(finished);
    attributes.text_if("error.type", error);
    albeit(finished, &mut attributes);
    let is_remote = if trace.parent_id.is_some() { IS_REMOTE } else { 0 };
    Span {
        trace_id: trace.trace_id.bytes().to_vec(),
        span_id: trace.span_id.bytes().to_vec(),
        parent_span_id: trace.parent_id.map_or_else(Vec::new, |id| id.bytes().to_vec()),
        trace_state: trace.trace_state.clone(),
        flags: SAMPLED_AND_KNOWN | is_remote,
        name: method.to_owned(),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: nanoseconds(record.request_creation_time),
        end_time_unix_nano: nanoseconds(record.time),
        attributes: attributes.into(),
        events: finished.websocket.map_or_else(Vec::new, |websocket| events(websocket, record)),
        status: Some(status),
        ..Span::default()
    }
}

fn client(finished: &Finished<'_>, number: usize, attempt: &Attempt) -> Span {
    let Finished { trace, record, .. } = finished;
    let mut attributes = Attributes::default();
    let (ip, port) = (attempt.target.ip(), attempt.target.port());
    let method = method(&record.request, &mut attributes);
    if let RequestLine::Readable { path_and_query, .. } = record.request {
        let path = record.transformed_uri.unwrap_or(path_and_query);
        let origin = format!("{}://{}", attempt.scheme.as_str(), attempt.target);
        attributes.bytes("url.full", &[origin.as_bytes(), path_of(path)].concat());
    }
    attributes.text("server.address", ip);
    attributes.int("server.port", port);
    attributes.text("network.peer.address", ip);
    attributes.int("network.peer.port", port);
    attributes.text("network.protocol.version", attempt.version);
    attributes.int_if("http.response.status_code", attempt.status_code);
    if number > 0 {
        attributes.int("http.request.resend_count", number);
    }
    attributes.text_if("albeit.target_group_arn", record.target_group_arn);
    let failed = attempt.status_code.filter(|&status| status >= 400).map(|status| status.to_string());
    let error = attempt.cause.map(str::to_owned).or(failed);
    let status = status(error.is_some(), attempt.cause);
    attributes.text_if("error.type", error);
    Span {
        trace_id: trace.trace_id.bytes().to_vec(),
        span_id: attempt.span_id.bytes().to_vec(),
        parent_span_id: trace.span_id.bytes().to_vec(),
        trace_state: trace.trace_state.clone(),
        flags: SAMPLED_AND_KNOWN,
        name: method.to_owned(),
        kind: SpanKind::Client.into(),
        start_time_unix_nano: nanoseconds(attempt.began),
        end_time_unix_nano: nanoseconds(attempt.ended),
        attributes: attributes.into(),
        status: Some(status),
        ..Span::default()
    }
}

/// The attributes of the request line; the span's name.
fn request(line: &RequestLine<'_>, attributes: &mut Attributes) -> &'static str {
    let name = method(line, attributes);
    match *line {
        RequestLine::Readable { scheme, host, port, path_and_query, version, .. } => {
            attributes.text("url.scheme", scheme.as_str());
            attributes.bytes("url.path", path_of(path_and_query));
            let (address, own_port) = split_host(host);
            attributes.bytes("server.address", address);
            attributes.int("server.port", own_port.unwrap_or(port));
            attributes.text(
                "network.protocol.version",
                match version {
                    Version::Http10 => "1.0",
                    Version::Http11 => "1.1",
                    Version::Http20 => "2",
                },
            );
        }
        RequestLine::Unreadable { scheme, local } => {
            attributes.text("url.scheme", scheme.as_str());
            attributes.text("server.address", local.ip());
            attributes.int("server.port", local.port());
        }
    }
    name
}

/// The attributes of the method; the span's name.
fn method(line: &RequestLine<'_>, attributes: &mut Attributes) -> &'static str {
    let RequestLine::Readable { method, .. } = *line else {
        attributes.text("http.request.method", "_OTHER");
        return "HTTP";
    };
    let Some(known) = METHODS.into_iter().find(|known| *known == method) else {
        attributes.text("http.request.method", "_OTHER");
        attributes.bytes("http.request.method_original", method.as_bytes());
        return "HTTP";
    };
    attributes.text("http.request.method", known);
    known
}

/// What only a load balancer knows.
fn albeit(finished: &Finished<'_>, attributes: &mut Attributes) {
    let record = finished.record;
    attributes.text("albeit.type", record.kind.as_str());
    attributes.text("albeit.load_balancer_arn", finished.load_balancer_arn);
    attributes.text_if("albeit.target_group_arn", record.target_group_arn);
    match record.matched_rule {
        MatchedRule::Priority(priority) => attributes.int("albeit.matched_rule_priority", priority),
        MatchedRule::Default => attributes.int("albeit.matched_rule_priority", 0_u16),
        MatchedRule::NotReached | MatchedRule::EvaluationError => {}
    }
    if let Some(target) = record.targets.last() {
        attributes.text("albeit.target", target.addr);
        attributes.int_if("albeit.target_status_code", target.status_code);
    }
    attributes.int_if("albeit.elb_status_code", record.elb_status_code);
    attributes.text_if("albeit.error_reason", record.error_reason);
    attributes.text_if("albeit.classification", record.classification.map(Classification::as_str));
    attributes.text("albeit.conn_trace_id", record.conn_trace_id);
    if let Some(trace_id) = record.trace_id {
        attributes.bytes("albeit.trace_id", trace_id);
    }
    attributes.seconds_if("albeit.request_processing_time", record.request_processing_time);
    attributes.seconds_if("albeit.target_processing_time", record.target_processing_time);
    attributes.seconds_if("albeit.response_processing_time", record.response_processing_time);
    attributes.int("albeit.received_bytes", record.received_bytes);
    attributes.int("albeit.sent_bytes", record.sent_bytes);
}

/// The conventions leave what the client did wrong (4xx) unset; here that is a request cut short by a client, too.
fn server_status(finished: &Finished<'_>) -> (Status, Option<String>) {
    let code = finished.record.elb_status_code;
    let is_servers = code.is_none_or(|code| (500..=599).contains(&code));
    // What had begun well was cut: its status tells nothing of it.
    let is_cut = finished.cause.is_some_and(|cause| !cause.starts_with("client_"))
        && code.is_some_and(|code| code < 400);
    let error = finished.cause.map(str::to_owned).or_else(|| match code {
        Some(code) if is_servers => Some(code.to_string()),
        Some(_) => None,
        None => finished.record.error_reason.map(str::to_owned),
    });
    (status(is_servers || is_cut, finished.cause), error)
}

fn status(is_error: bool, cause: Option<&str>) -> Status {
    if is_error {
        Status { code: StatusCode::Error.into(), message: cause.unwrap_or_default().to_owned() }
    } else {
        Status::default()
    }
}

/// Whether a client can have seen it: 460 and 000 stand for no answer.
const fn is_sent(status: u16) -> bool {
    matches!(status, 100..=599) && status != 460
}

fn events(websocket: WebSocket, record: &Record<'_>) -> Vec<Event> {
    let mut closed = Attributes::default();
    closed.text("albeit.close_reason", websocket.reason);
    closed.int("albeit.received_bytes", record.received_bytes);
    closed.int("albeit.sent_bytes", record.sent_bytes);
    let event = |name: &str, time, attributes: Attributes| Event {
        name: name.to_owned(),
        time_unix_nano: nanoseconds(time),
        attributes: attributes.into(),
        ..Event::default()
    };
    vec![event("upgraded", websocket.upgraded, Attributes::default()), event("closed", record.time, closed)]
}

/// Path and query without the query.
fn path_of(path_and_query: &[u8]) -> &[u8] {
    path_and_query.split(|&byte| byte == b'?').next().unwrap_or_default()
}

/// Host, an IPv6 address without its brackets, and port of a Host header.
fn split_host(host: &[u8]) -> (&[u8], Option<u16>) {
    let text = std::str::from_utf8(host).unwrap_or_default();
    let split =
        text.rsplit_once(':').filter(|(address, _)| !address.starts_with('[') || address.ends_with(']'));
    let (address, port) = match split.map(|(address, port)| (address, port.parse())) {
        Some((address, Ok(port))) => (address.as_bytes(), Some(port)),
        _ => (host, None),
    };
    let bare = address.strip_prefix(b"[").and_then(|address| address.strip_suffix(b"]"));
    (bare.unwrap_or(address), port)
}

/// Nanoseconds since 1970, until the year 2554.
fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

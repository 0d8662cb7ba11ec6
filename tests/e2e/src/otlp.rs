//! A collector of traces: takes OTLP over HTTP, protobuf, and keeps every span.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};

use anyhow::{Context as _, Result, ensure};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use prost::Message as _;
use serde_json::json;

use crate::{
    target::{Request, Step, Target, response},
    wait::{SOON, eventually},
};

/// A running collector.
pub struct Collector {
    target: Target,
    status: Arc<AtomicU16>,
}

impl Collector {
    /// Starts a collector that takes everything.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start() -> Result<Self> {
        let status = Arc::new(AtomicU16::new(200));
        let answer = Arc::clone(&status);
        let target = Target::start(move |_| {
            let status = answer.load(Ordering::Relaxed);
            vec![Step::Send(response(&format!("{status} Scripted"), &[], ""))]
        })?;
        Ok(Self { target, status })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.target.addr()
    }

    /// `traces` of a configuration that exports everything to this collector.
    #[must_use]
    pub fn traces(&self) -> serde_json::Value {
        json!({ "endpoint": format!("http://{}", self.addr()) })
    }

    /// Answers with this status from now on.
    pub fn answer_with(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// From now on connecting is refused.
    pub async fn stop(&mut self) {
        self.target.stop().await;
    }

    /// Listens (again).
    ///
    /// # Errors
    /// When the port cannot be listened on.
    pub fn resume(&mut self) -> Result<()> {
        self.target.resume()
    }

    /// The exports so far, whatever they were answered with.
    #[must_use]
    pub fn exports(&self) -> Vec<Request> {
        self.target.requests()
    }

    /// The spans of all exports so far.
    ///
    /// # Errors
    /// When an export is not what the protocol asks for.
    pub fn spans(&self) -> Result<Vec<Span>> {
        let mut spans = Vec::new();
        for export in self.exports() {
            ensure!(export.line() == "POST /v1/traces HTTP/1.1", "{}", export.line());
            ensure!(export.header("content-type")? == "application/x-protobuf", "{}", export.head);
            let message = ExportTraceServiceRequest::decode(&*export.body)?;
            let scopes = message.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
            spans.extend(scopes.flat_map(|scope| scope.spans));
        }
        Ok(spans)
    }

    /// Waits for the spans of the request for `path`: its own, and those of its attempts.
    ///
    /// # Errors
    /// When they do not come soon, or more than once.
    pub async fn request(&self, path: &str) -> Result<(Span, Vec<Span>)> {
        eventually(SOON, &format!("spans of {path}"), || async {
            let spans = self.spans()?;
            let mut own: Vec<_> = spans.iter().filter(|span| text(span, "url.path") == path).collect();
            ensure!(own.len() == 1, "{} of {} spans are of {path}", own.len(), spans.len());
            let own = own.pop().context("no span")?;
            let is_attempt = |span: &&Span| span.parent_span_id == own.span_id;
            Ok((own.clone(), spans.iter().filter(is_attempt).cloned().collect()))
        })
        .await
    }
}

/// An attribute of a span as text; empty if it is not there.
#[must_use]
pub fn text(span: &Span, key: &str) -> String {
    attribute(&span.attributes, key)
}

/// One of `attributes` as text; empty if it is not there.
#[must_use]
pub fn attribute(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|pair| pair.key == key);
    match found.and_then(|pair| pair.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

/// Whether a span says that it failed.
#[must_use]
pub fn is_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error)
}

/// Whether a span is of a request that the load balancer serves, and not of one that it makes.
#[must_use]
pub fn is_server(span: &Span) -> bool {
    span.kind() == SpanKind::Server
}

/// An identifier as it is written.
#[must_use]
pub fn hex(id: &[u8]) -> String {
    let mut text = String::with_capacity(2 * id.len());
    for byte in id {
        // Writing to a `String` cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
    }
    text
}

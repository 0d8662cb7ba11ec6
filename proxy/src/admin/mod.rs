//! The admin API: liveness, readiness, metrics and target health on a socket of
//! its own.
//!
//! | path | answer |
//! |---|---|
//! | `/healthz` | 200 `ok` while the process lives |
//! | `/readyz` | 200 `ready`, or 503 `starting` or `draining` |
//! | `/metrics` | all metrics in the Prometheus text format |
//! | `/targets` | the health of all targets as JSON, in the words of `DescribeTargetHealth` |
//! | `/public-keys/KID` | the public key that verifies `x-amzn-oidc-data`, PEM |
//!
//! Read only, GET and HEAD, without authentication: it belongs on loopback or a
//! management network. Nothing here changes state.

mod readiness;
mod server;
mod targets;

use std::{error::Error, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;

pub use self::{
    readiness::{Phase, Readiness},
    server::serve,
};
use crate::{authenticate::Authenticator, metrics::Metrics, target_groups::Registry};

/// What the admin API shows.
#[derive(Debug, Clone)]
pub struct AdminState {
    /// Target groups for `/targets`.
    pub registry: Arc<Registry>,
    /// Metrics for `/metrics`.
    pub metrics: Arc<Metrics>,
    /// Readiness for `/readyz`.
    pub readiness: Arc<Readiness>,
    /// Keys for `/public-keys`.
    pub authenticator: Arc<Authenticator>,
}

impl AdminState {
    /// Answers one request; the body is not looked at.
    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        let kid = path.strip_prefix("/public-keys/");
        if kid.is_none() && !matches!(path, "/healthz" | "/readyz" | "/metrics" | "/targets") {
            return text(StatusCode::NOT_FOUND, "not found\n");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        if let Some(kid) = kid {
            return self.public_key(kid);
        }
        match path {
            "/readyz" => self.readyz(),
            "/metrics" => self.metrics(),
            "/targets" => self.targets(),
            _ => text(StatusCode::OK, "ok\n"),
        }
    }

    /// A regional address of AWS serves these; the path after it is the same.
    fn public_key(&self, kid: &str) -> Response<Full<Bytes>> {
        match self.authenticator.signers().public_key(kid) {
            Some(pem) => with_type(pem.to_owned(), "text/plain; charset=utf-8"),
            None => text(StatusCode::NOT_FOUND, "not found\n"),
        }
    }

    fn readyz(&self) -> Response<Full<Bytes>> {
        match self.readiness.phase() {
            Phase::Starting => text(StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
            Phase::Ready => text(StatusCode::OK, "ready\n"),
            Phase::Draining => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        }
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        match self.metrics.render() {
            Ok(metrics) => with_type(metrics, "text/plain; version=0.0.4; charset=utf-8"),
            Err(error) => internal_error(&error),
        }
    }

    fn targets(&self) -> Response<Full<Bytes>> {
        match targets::render(&self.registry) {
            Ok(json) => with_type(json, "application/json"),
            Err(error) => internal_error(&error),
        }
    }
}

fn text(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = with_type(body, "text/plain; charset=utf-8");
    *response.status_mut() = status;
    response
}

fn with_type(body: impl Into<Bytes>, content_type: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn internal_error(error: &dyn Error) -> Response<Full<Bytes>> {
    tracing::error!(%error, "admin answer could not be made");
    text(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n")
}

#[cfg(test)]
mod tests;

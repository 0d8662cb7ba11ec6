//! The admin API: liveness, readiness, metrics, what is configured and what goes on, and actions, on a
//! socket of its own.
//!
//! Reading (GET, HEAD) needs no authentication and changes nothing: the socket belongs on loopback or a
//! management network. `GET /` lists all of it. Members, filters, paging and error codes are those of the
//! `ELBv2` API, in JSON; an error is `{"Error": {"Type", "Code", "Message"}}` with the API's status.
//!
//! Actions are for the bearer of `admin.token` or `admin.token_file`; without either, for loopback clients
//! of an API that listens on loopback, and never for a web page in a browser (module `access`). What they
//! change is in force at once and lies on top of the file, over reloads too, until `DELETE /overrides` or
//! the end of the process (module `overrides`). Each is logged with who asked and what came of it, and
//! counted.

mod access;
mod action;
mod api_error;
mod attributes;
mod certificates;
mod connections;
mod control;
mod flows;
mod listeners;
mod load_balancers;
mod membership;
mod overrides;
mod query;
mod readiness;
mod rules;
mod server;
mod target_groups;
mod targets;

use std::{error::Error, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Body;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::time::Instant;

use self::{access::Caller, action::Action, api_error::ApiError, query::Query};
pub use self::{
    access::Token,
    control::{Control, InForce, Refused, TargetChange},
    readiness::{Phase, Readiness},
    server::serve,
};
use crate::{
    authenticate::Authenticator, client::Connections, metrics::Metrics, nlb::Flows, target_groups::Registry,
};

/// Reads `body` as the action at `path` would, without doing anything; `None` if there is no such action.
///
/// # Errors
///
/// What is wrong with the body, with its place.
#[must_use]
pub fn check_body(method: &Method, path: &str, body: &[u8]) -> Option<Result<(), String>> {
    Action::find(method, path).map(|action| action.check(body).map_err(|error| error.message))
}

/// What the admin API shows and acts on.
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
    /// Open connections for `/connections`.
    pub connections: Arc<Connections>,
    /// Open flows for `/flows`.
    pub flows: Arc<Flows>,
    /// The configuration, and its change.
    pub control: Arc<dyn Control>,
}

/// Where public keys are, each under its identifier.
const PUBLIC_KEYS: &str = "/public-keys/";
/// How that is written in [`RESOURCES`].
const PUBLIC_KEY: &str = "/public-keys/KID";

/// What can be read: path, the parameters it knows, and what it is.
const RESOURCES: &[(&str, &[&str], &str)] = &[
    ("/", &[], "this list"),
    ("/healthz", &[], "200 while the process lives"),
    ("/readyz", &[], "200 `ready`, or 503 `starting` or `draining`"),
    ("/metrics", &[], "all metrics in the Prometheus text format"),
    ("/load-balancers", load_balancers::PARAMETERS, "load balancers"),
    ("/listeners", listeners::PARAMETERS, "listeners"),
    ("/rules", rules::PARAMETERS, "rules with the requests they matched"),
    ("/target-groups", target_groups::PARAMETERS, "target groups"),
    ("/targets", targets::PARAMETERS, "targets with their health"),
    ("/attributes", attributes::PARAMETERS, "effective attributes"),
    ("/certificates", certificates::PARAMETERS, "certificates"),
    ("/connections", connections::PARAMETERS, "open connections of clients"),
    ("/flows", flows::PARAMETERS, "open flows of network load balancers"),
    (PUBLIC_KEY, &[], "the public key that verifies `x-amzn-oidc-data`, PEM"),
    ("/overrides", &[], "what was changed through this API"),
];

impl AdminState {
    /// Answers one request.
    async fn answer<B>(&self, request: Request<B>, caller: Caller) -> Response<Full<Bytes>>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let path = request.uri().path();
        if let Some(action) = Action::find(request.method(), path) {
            return action.answer(self, request, caller).await;
        }
        let looked_up = if path.starts_with(PUBLIC_KEYS) { PUBLIC_KEY } else { path };
        let resource = RESOURCES.iter().find(|(known, ..)| *known == looked_up);
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        match resource {
            Some((_, parameters, _)) if is_read => {
                self.read(path, request.uri().query().unwrap_or_default(), parameters)
            }
            None if !Action::exists(path) => text(StatusCode::NOT_FOUND, "not found\n"),
            _ => {
                let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
                if let Ok(allow) = HeaderValue::try_from(Action::allowed(path, resource.is_some())) {
                    response.headers_mut().insert(header::ALLOW, allow);
                }
                response
            }
        }
    }

    fn read(&self, path: &str, query: &str, parameters: &[&str]) -> Response<Full<Bytes>> {
        if let Some(kid) = path.strip_prefix(PUBLIC_KEYS) {
            return self.public_key(kid);
        }
        match path {
            "/healthz" => text(StatusCode::OK, "ok\n"),
            "/readyz" => self.readyz(),
            "/metrics" => self.metrics(),
            _ => match Query::parse(query, parameters).and_then(|query| self.resource(path, &query)) {
                Ok(value) => with_json(StatusCode::OK, &value),
                Err(error) => with_json(error.status, &error.body()),
            },
        }
    }

    fn resource(&self, path: &str, query: &Query) -> Result<Value, ApiError> {
        let in_force = self.control.in_force();
        match path {
            "/load-balancers" => load_balancers::list(&in_force, query),
            "/listeners" => listeners::list(&in_force, query),
            "/rules" => rules::list(self, &in_force, query),
            "/target-groups" => target_groups::list(&in_force, query),
            "/targets" => targets::list(self, &in_force, query),
            "/attributes" => attributes::list(&in_force, query),
            "/certificates" => certificates::list(&in_force, query, OffsetDateTime::now_utc()),
            "/connections" => connections::list(self, &in_force, query, Instant::now()),
            "/flows" => flows::list(self, &in_force, query, Instant::now()),
            "/overrides" => Ok(overrides::list(self)),
            _ => Ok(index()),
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
        self.registry.settle_request_counts();
        match self.metrics.render() {
            Ok(metrics) => with_type(metrics, "text/plain; version=0.0.4; charset=utf-8"),
            Err(error) => internal_error(&error),
        }
    }
}

/// `GET /`.
fn index() -> Value {
    let resources = RESOURCES.iter().map(
        |(path, parameters, what)| json!({ "Path": path, "Parameters": parameters, "Description": what }),
    );
    let actions = Action::ALL.iter().map(|action| {
        json!({ "Method": action.method().as_str(), "Path": action.path(), "Description": action.description() })
    });
    json!({ "Resources": resources.collect::<Vec<_>>(), "Actions": actions.collect::<Vec<_>>() })
}

fn text(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = with_type(body, "text/plain; charset=utf-8");
    *response.status_mut() = status;
    response
}

fn with_json(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    let mut response = with_type(format!("{value:#}\n"), "application/json");
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

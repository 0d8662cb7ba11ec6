//! The admin API: liveness, readiness, metrics, what is configured and what goes on, and actions, on a
//! socket of its own.
//!
//! Reading (GET, HEAD) needs no authentication and changes nothing: the socket belongs on loopback, where only
//! programs of the machine read and no web page does (module `access`), or on a management network. `GET /` lists all of it. Members, filters, paging and error codes are those of the
//! `ELBv2` API, in JSON; an error is `{"Error": {"Type", "Code", "Message"}}` with the API's status.
//!
//! Actions are for the bearer of `admin.token` or `admin.token_file`; without either, for loopback clients
//! of an API that listens on loopback, and never for a web page in a browser (module `access`). What they
//! change is in force at once and lies on top of the file, over reloads too, until `DELETE /overrides` or
//! the end of the process (module `overrides`). Each is logged with who asked and what came of it, and
//! counted.

mod access;
mod action;
mod answer;
mod api_error;
mod attributes;
mod certificates;
mod connections;
mod control;
mod dashboard;
mod findings;
mod flows;
mod listeners;
mod load_balancers;
mod membership;
mod overrides;
mod query;
mod readiness;
mod requests;
mod rules;
mod server;
mod target_groups;
mod targets;

use std::{error::Error, sync::Arc};

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use hyper::body::Body;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::{
    access::Caller,
    action::Action,
    answer::{Answer, internal_error, text, with_error, with_json, with_type},
    api_error::ApiError,
    query::Query,
};
pub use self::{
    access::Token,
    control::{Control, InForce, Refused, TargetChange},
    dashboard::Dashboard,
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
    /// What the dashboard works with.
    pub dashboard: Arc<Dashboard>,
}

/// Where public keys are, each under its identifier.
const PUBLIC_KEYS: &str = "/public-keys/";
/// How that is written in [`RESOURCES`].
const PUBLIC_KEY: &str = "/public-keys/KID";
/// How the dashboard's assets are written in [`RESOURCES`].
const ASSET: &str = "/dashboard/NAME";

/// Where the events of the dashboard are.
const EVENTS: &str = "/events";

/// What says nothing but that the process lives and serves: for whoever asks, under whatever name.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// What can be read: path, the parameters it knows, and what it is.
const RESOURCES: &[(&str, &[&str], &str)] = &[
    ("/", &[], "this list, or the dashboard for who accepts text/html"),
    (ASSET, &[], "what the dashboard is made of"),
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
    ("/requests", requests::PARAMETERS, "the last requests, with what they mean"),
    ("/overrides", &[], "what was changed through this API"),
    ("/findings", &[], "what the doctor says of the configuration in force"),
    (EVENTS, &[], "what is configured and what happens, as server-sent events"),
];

impl AdminState {
    /// Answers one request. `cut` is cancelled if the answer is a stream and its reader too slow.
    async fn answer<B>(&self, request: Request<B>, caller: Caller, cut: &CancellationToken) -> Answer
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let path = request.uri().path();
        if let Some(action) = Action::find(request.method(), path) {
            return action.answer(self, request, caller).await;
        }
        let looked_up = match path {
            path if path.starts_with(PUBLIC_KEYS) => PUBLIC_KEY,
            path if path.starts_with(dashboard::PREFIX) => ASSET,
            path => path,
        };
        let resource = RESOURCES.iter().find(|(known, ..)| *known == looked_up);
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        match resource {
            Some((_, parameters, _)) if is_read => {
                if !PROBES.contains(&path)
                    && let Err(denied) = access::check_reading(request.headers(), caller)
                {
                    return with_error(&denied.into());
                }
                let query = request.uri().query().unwrap_or_default();
                match path {
                    EVENTS => dashboard::events(self, cut.clone()).await,
                    "/findings" => self.findings(query).await,
                    _ => self.read(path, query, parameters, request.headers()),
                }
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

    fn read(&self, path: &str, query: &str, parameters: &[&str], headers: &HeaderMap) -> Answer {
        if let Some(kid) = path.strip_prefix(PUBLIC_KEYS) {
            return self.public_key(kid);
        }
        if let Some(name) = path.strip_prefix(dashboard::PREFIX) {
            return dashboard::asset(name, headers);
        }
        match path {
            "/" if dashboard::wants_page(headers) => dashboard::page(headers),
            "/healthz" => text(StatusCode::OK, "ok\n"),
            "/readyz" => self.readyz(),
            "/metrics" => self.metrics(),
            _ => match Query::parse(query, parameters).and_then(|query| self.resource(path, &query)) {
                Ok(value) => with_json(StatusCode::OK, &value),
                Err(error) => with_error(&error),
            },
        }
    }

    async fn findings(&self, query: &str) -> Answer {
        let findings = self.dashboard.findings.of(&self.control.in_force()).await;
        let page =
            Query::parse(query, &[]).and_then(|query| query.page("Findings", findings.iter().cloned()));
        match page {
            Ok(value) => with_json(StatusCode::OK, &value),
            Err(error) => with_error(&error),
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
            "/requests" => requests::list(self, &in_force, query),
            "/overrides" => Ok(overrides::list(self)),
            _ => Ok(self.index()),
        }
    }

    /// `GET /`.
    fn index(&self) -> Value {
        let resources = RESOURCES.iter().map(
            |(path, parameters, what)| json!({ "Path": path, "Parameters": parameters, "Description": what }),
        );
        let actions = Action::ALL.iter().map(|action| {
            json!({ "Method": action.method().as_str(), "Path": action.path(), "Description": action.description() })
        });
        json!({
            "Version": env!("CARGO_PKG_VERSION"),
            "StartTime": connections::timestamp(self.dashboard.started),
            "Resources": resources.collect::<Vec<_>>(),
            "Actions": actions.collect::<Vec<_>>(),
        })
    }

    /// A regional address of AWS serves these; the path after it is the same.
    fn public_key(&self, kid: &str) -> Answer {
        match self.authenticator.signers().public_key(kid) {
            Some(pem) => with_type(pem.to_owned(), "text/plain; charset=utf-8"),
            None => text(StatusCode::NOT_FOUND, "not found\n"),
        }
    }

    fn readyz(&self) -> Answer {
        match self.readiness.phase() {
            Phase::Starting => text(StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
            Phase::Ready => text(StatusCode::OK, "ready\n"),
            Phase::Draining => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        }
    }

    fn metrics(&self) -> Answer {
        self.registry.settle_request_counts();
        match self.metrics.render() {
            Ok(metrics) => with_type(metrics, "text/plain; version=0.0.4; charset=utf-8"),
            Err(error) => internal_error(&error),
        }
    }
}

#[cfg(test)]
mod tests;

//! From a request to its answer.

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Method, Request, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::{Duration, timeout};

use crate::app::{page, whoami};
use crate::auth::{self, Forwarded};
use crate::endpoint::{STOMP_PROTOCOLS, Services};
use crate::health::{self, Check};
use crate::proxy_protocol::Header;
use crate::ws::handshake::{self, HandshakeError};

use super::connection::Connection;
use super::response::{self, Answer, JSON};
use super::tls::Agreed;
use super::upgrade::{Carrier, Upgrade};

/// Media type of Spring Boot's actuator.
const ACTUATOR: &str = "application/vnd.spring-boot.actuator.v3+json";

/// Text format of Prometheus.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Largest request body that is read, in bytes.
const BODY_LIMIT: u64 = 16 * 1024 * 1024;

/// The circumstances of a request.
pub(super) struct Exchange<'a> {
    pub(super) connection: &'a Connection,
    /// Requests on the connection, this one included.
    pub(super) requests: u64,
    /// The length of the body was given in two ways.
    pub(super) ambiguous: bool,
    pub(super) upgrade: Upgrade,
}

/// Answers a request, after its body: with bytes unread the connection would
/// have to close, and the balancer's next request on it would be lost.
pub(super) async fn respond(
    request: Request<Incoming>,
    exchange: Exchange<'_>,
    services: &Arc<Services>,
) -> Answer {
    if exchange.ambiguous {
        let text = "content-length and transfer-encoding in one request";
        return response::fatal(StatusCode::BAD_REQUEST, text);
    }
    if let Err(problem) = check_host(request.version(), request.headers()) {
        return response::fatal(StatusCode::BAD_REQUEST, problem);
    }
    let (parts, body) = request.into_parts();
    let body_bytes = match swallow(body, services.config.server.tomcat.connection_timeout).await {
        Ok(bytes) => bytes,
        Err(answer) => return answer,
    };
    let request = Request::from_parts(parts, ());
    match request.uri().path() {
        "/whoami" => who_am_i(request, body_bytes, &exchange, services),
        "/ws" | "/ws/websocket" => web_socket(request, exchange, services, Carrier::Stomp, &STOMP_PROTOCOLS),
        "/echo" => web_socket(request, exchange, services, Carrier::Echo, &[]),
        path => resource(path, request.method(), services),
    }
}

/// Reads a body and counts its bytes. Each part may take as long as
/// `patience`.
async fn swallow(mut body: Incoming, patience: Duration) -> Result<u64, Answer> {
    let mut bytes: u64 = 0;
    while !body.is_end_stream() {
        match timeout(patience, body.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, bytes::Bytes::len);
                bytes += u64::try_from(length).unwrap_or(u64::MAX);
            }
            Ok(Some(Err(_))) => return Err(response::fatal(StatusCode::BAD_REQUEST, "malformed body")),
            Err(_) => return Err(response::fatal(StatusCode::REQUEST_TIMEOUT, "body came too slowly")),
        }
        if bytes > BODY_LIMIT {
            return Err(response::fatal(StatusCode::PAYLOAD_TOO_LARGE, "body too large"));
        }
    }
    Ok(bytes)
}

/// HTTP/1.1 requires one Host (RFC 9112, section 3.2); the library does not.
fn check_host(version: Version, headers: &HeaderMap) -> Result<(), &'static str> {
    match headers.get_all(HOST).iter().count() {
        1 => Ok(()),
        0 if version < Version::HTTP_11 => Ok(()),
        0 => Err("missing host"),
        _ => Err("more than one host"),
    }
}

/// What can only be read.
fn resource(path: &str, method: &Method, services: &Services) -> Answer {
    let check = |check, media_type| {
        let (status, body) = health::report(check, &services.lifecycle);
        response::content(status, media_type, body)
    };
    let html = "text/html; charset=utf-8";
    let text = "text/plain; charset=utf-8";
    let script = "text/javascript; charset=utf-8";
    let answer = match path {
        "/" => response::content(StatusCode::OK, html, page::INDEX),
        "/assets/stomp.umd.min.js" => response::content(StatusCode::OK, script, page::STOMP_JS),
        "/assets/stomp.umd.min.js.LICENSE" => response::content(StatusCode::OK, text, page::STOMP_JS_LICENSE),
        "/health" => check(Check::Overall, JSON),
        "/actuator/health" => check(Check::Overall, ACTUATOR),
        "/actuator/health/readiness" => check(Check::Readiness, ACTUATOR),
        "/actuator/health/liveness" => check(Check::Liveness, ACTUATOR),
        "/metrics" => match services.metrics.render() {
            Ok(body) => response::content(StatusCode::OK, PROMETHEUS, body),
            Err(error) => internal(&error),
        },
        _ => return response::error(StatusCode::NOT_FOUND, "not found"),
    };
    if method == Method::GET || method == Method::HEAD {
        answer
    } else {
        response::method_not_allowed("GET, HEAD")
    }
}

fn forwarded(headers: &HeaderMap, connection: &Connection, services: &Services) -> Forwarded {
    let trusted = &services.config.server.tomcat.remoteip.internal_proxies;
    auth::resolve(connection.hop, headers, trusted)
}

/// Any method, with or without a body.
fn who_am_i(request: Request<()>, body_bytes: u64, exchange: &Exchange<'_>, services: &Services) -> Answer {
    let (parts, ()) = request.into_parts();
    let connection = exchange.connection;
    let origin = whoami::Origin {
        instance: &services.config.instance,
        remote: canonical(connection.peer),
        local: canonical(connection.local),
        forwarded: &forwarded(&parts.headers, connection, services),
        connection: whoami::Connection { id: connection.id, requests: exchange.requests },
        tls: connection.opening.tls.as_ref().map(Agreed::report),
        proxy_protocol: connection.opening.header.map(proxy_protocol),
    };
    match whoami::report(&parts, body_bytes, &origin) {
        Ok(body) => response::content(StatusCode::OK, JSON, body),
        Err(error) => internal(&error),
    }
}

fn proxy_protocol(header: Header) -> whoami::ProxyProtocol {
    whoami::ProxyProtocol {
        version: header.version.number(),
        command: header.command.as_str(),
        source: header.addresses.map(|ends| ends.source),
        destination: header.addresses.map(|ends| ends.destination),
    }
}

/// An IPv4 peer of an IPv6 socket shown as IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn web_socket(
    request: Request<()>,
    exchange: Exchange<'_>,
    services: &Arc<Services>,
    carrier: Carrier,
    protocols: &[&'static str],
) -> Answer {
    let errors = &services.metrics.websocket_connection_errors;
    let accepted = match handshake::accept(&request, protocols) {
        Ok(accepted) => accepted,
        Err(error) => {
            errors.with_label_values(&["handshake"]).inc();
            return refused_handshake(error);
        }
    };
    let forwarded = forwarded(request.headers(), exchange.connection, services);
    let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    let host = forwarded.host.as_deref().or_else(|| header(HOST));
    if !auth::is_allowed(header(ORIGIN), host, &services.config.websocket.allowed_origins) {
        errors.with_label_values(&["handshake"]).inc();
        tracing::warn!(origin = header(ORIGIN), host, "WebSocket of a foreign origin refused");
        return response::error(StatusCode::FORBIDDEN, "origin not allowed");
    }
    if services.lifecycle.closing().is_cancelled() {
        return response::error(StatusCode::SERVICE_UNAVAILABLE, "server is going away");
    }
    exchange.upgrade.start(request, Arc::clone(services), carrier);
    let mut switching = Answer::default();
    *switching.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *switching.headers_mut() = accepted.0;
    switching
}

fn refused_handshake(error: HandshakeError) -> Answer {
    let mut answer = response::error(error.status(), &error.to_string());
    if let Some((name, value)) = error.header() {
        answer.headers_mut().insert(name, value);
    }
    answer
}

fn internal(error: &(dyn std::error::Error + 'static)) -> Answer {
    tracing::error!(error, "answer could not be made");
    response::error(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
}

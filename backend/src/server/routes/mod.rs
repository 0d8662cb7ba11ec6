//! From a request to its answer.

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::HOST;
use http::{HeaderMap, Method, Request, StatusCode, Version};
use hyper::body::Incoming;

mod actuator;
mod health;
mod rooms;
mod sock_js;
mod socket_io;
mod template;
mod web_socket;

use crate::app::{page, whoami};
use crate::auth::{self, Forwarded};
use crate::endpoint::Services;
use crate::proxy_protocol::Header;

use super::body;
use super::connection::Connection;
use super::response::{self, Answer, JSON};
use super::tls::Agreed;
use super::upgrade::Upgrade;

pub(super) use template::template;

/// Largest request body that is read, in bytes.
const BODY_LIMIT: u64 = 16 * 1024 * 1024;

/// Methods of what can only be read.
const ALLOWED: &str = "GET, HEAD, OPTIONS";

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
    // What reads its bodies itself.
    let uri = request.uri().clone();
    if let Some(rest) = sock_js::under(uri.path(), &services.config.sockjs) {
        return sock_js::respond(request, rest, exchange, services).await;
    }
    if socket_io::is_here(uri.path(), &services.config.socket_io) {
        return socket_io::respond(request, exchange, services).await;
    }
    let (parts, body) = request.into_parts();
    let patience = services.config.server.tomcat.connection_timeout;
    let body_bytes = match body::swallow(body, BODY_LIMIT, patience).await {
        Ok(bytes) => bytes,
        Err(answer) => return answer,
    };
    let request = Request::from_parts(parts, ());
    match request.uri().path() {
        "/whoami" => who_am_i(request, body_bytes, &exchange, services),
        "/echo" => web_socket::echo(request, exchange, services).await,
        path if rooms::is_below(path) => rooms::respond(request, exchange.connection, services).await,
        path => resource(path, &request, services).await,
    }
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
async fn resource(path: &str, request: &Request<()>, services: &Services) -> Answer {
    let answer = match page::asset(path) {
        Some((media_type, text)) => response::content(StatusCode::OK, media_type, text),
        None => match operations(request, services).await {
            Some(answer) => answer,
            None => return response::error(StatusCode::NOT_FOUND, "not found"),
        },
    };
    match *request.method() {
        Method::GET | Method::HEAD => answer,
        Method::OPTIONS => response::options(ALLOWED),
        _ => response::method_not_allowed(ALLOWED),
    }
}

/// What operators and their machines ask for.
async fn operations(request: &Request<()>, services: &Services) -> Option<Answer> {
    if let Some(answer) = actuator::respond(request.uri(), services) {
        return Some(answer);
    }
    health::respond(request.uri().path(), request.headers(), services).await
}

fn forwarded(headers: &HeaderMap, connection: &Connection, services: &Services) -> Forwarded {
    auth::resolve(connection.hop, headers, services.config.server.proxies())
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

fn internal(error: &(dyn std::error::Error + 'static)) -> Answer {
    tracing::error!(error, "answer could not be made");
    response::error(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
}

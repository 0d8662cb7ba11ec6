//! `/socket.io/`: Engine.IO requests.
//!
//! A page of an allowed origin may use polling with credentials: CORS names its
//! origin, as the `cors` option of `socket.io` does with a list of origins.

use std::sync::Arc;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_HEADERS, CONTENT_TYPE, HeaderMap, HeaderValue,
    ORIGIN, SET_COOKIE, UPGRADE, VARY,
};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;

use crate::config::SocketIoConfig;
use crate::endpoint::Services;
use crate::endpoint::socket_io::{self, Handle, Polled, Prepared};
use crate::engine_io::handshake::Intent;
use crate::engine_io::{Query, Refusal, TransportName};
use crate::server::body;
use crate::server::response::{self, Answer, JSON};
use crate::ws::Socket;

use super::{Exchange, web_socket};

/// Whether a path is that of the gateway.
pub(super) fn is_here(path: &str, config: &SocketIoConfig) -> bool {
    config.enabled && path.strip_prefix(config.path.as_str()) == Some("/")
}

/// Answers a request to the gateway.
pub(super) async fn respond(
    request: Request<Incoming>,
    exchange: Exchange<'_>,
    services: &Arc<Services>,
) -> Answer {
    let (parts, body) = request.into_parts();
    let request = Request::from_parts(parts, ());
    if web_socket::check_origin(&request, exchange.connection, services).is_err() {
        return refuse(Refusal::Forbidden, services);
    }
    let origin = request.headers().get(ORIGIN).cloned();
    let mut answer = if request.method() == Method::OPTIONS {
        preflight(request.headers())
    } else {
        route(request, body, exchange, services).await
    };
    if let Some(origin) = origin {
        let headers = answer.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
    answer
}

fn preflight(asked: &HeaderMap) -> Answer {
    let mut answer = Answer::default();
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let headers = answer.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET,POST"));
    if let Some(wanted) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        headers.append(VARY, HeaderValue::from_static("Access-Control-Request-Headers"));
    }
    answer
}

async fn route(
    request: Request<()>,
    body: Incoming,
    exchange: Exchange<'_>,
    services: &Arc<Services>,
) -> Answer {
    let method = request.method().clone();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let upgrade = request.headers().contains_key(UPGRADE);
    let mut session = None;
    let intent = Query::parse(&query).intent(&method, upgrade, |sid| {
        session = services.socket_io.session(sid);
        session.as_ref().map(|session| session.transport())
    });
    match (intent, session) {
        (Err(refusal), _) => drained(body, refuse(refusal, services), services).await,
        (Ok(Intent::Open(TransportName::Polling)), _) => open_polling(&request, exchange, services).await,
        (Ok(Intent::Open(TransportName::WebSocket)), _) => open_web_socket(request, exchange, services).await,
        (Ok(Intent::Continue { transport: TransportName::WebSocket, .. }), Some(session)) => {
            upgrade_to_web_socket(request, exchange, session, services)
        }
        (Ok(Intent::Continue { .. }), Some(session)) => match method {
            Method::GET => poll(&session, services).await,
            Method::POST => post(&request, body, &session, services).await,
            _ => drained(body, refuse(Refusal::BadRequest, services), services).await,
        },
        (Ok(Intent::Continue { .. }), None) => refuse(Refusal::UnknownSession, services),
    }
}

/// Reads a body that nobody wants, so that the connection can go on.
async fn drained(body: Incoming, answer: Answer, services: &Services) -> Answer {
    let limit = u64::try_from(services.config.socket_io.max_http_buffer_size).unwrap_or(u64::MAX);
    let patience = services.config.server.tomcat.connection_timeout;
    body::swallow(body, limit, patience).await.map_or_else(|refused| refused, |_| answer)
}

/// The refusal of the reference server, counted.
fn refuse(refusal: Refusal, services: &Services) -> Answer {
    services.metrics.socket_io.refusals.with_label_values(&[refusal.reason()]).inc();
    response::content(refusal.status(), JSON, refusal.body())
}

/// A new session, unless there are too many.
fn prepare(services: &Arc<Services>, transport: TransportName) -> Result<Prepared, Box<Answer>> {
    let unavailable = |text| Box::new(response::error(StatusCode::SERVICE_UNAVAILABLE, text));
    if services.lifecycle.closing().is_cancelled() {
        return Err(unavailable("server is going away"));
    }
    Prepared::try_new(services, transport).map_err(|error| {
        services.metrics.socket_io.refusals.with_label_values(&["full"]).inc();
        tracing::warn!(%error, "socket.io session refused");
        unavailable("too many sessions")
    })
}

async fn open_polling(request: &Request<()>, exchange: Exchange<'_>, services: &Arc<Services>) -> Answer {
    let opened = match web_socket::opened(request, exchange.connection, services).await {
        Ok(opened) => opened,
        Err(answer) => return *answer,
    };
    let prepared = match prepare(services, TransportName::Polling) {
        Ok(prepared) => prepared,
        Err(answer) => return *answer,
    };
    let handle = Arc::clone(prepared.handle());
    exchange.upgrade.tasks.spawn(socket_io::serve_polling(prepared, opened));
    let mut answer = poll(&handle, services).await;
    set_cookie(answer.headers_mut(), &handle, &services.config.socket_io);
    answer
}

async fn open_web_socket(request: Request<()>, exchange: Exchange<'_>, services: &Arc<Services>) -> Answer {
    let accepted = match web_socket::accept(&request, exchange.connection, services, &[]) {
        Ok(accepted) => accepted,
        Err(answer) => return *answer,
    };
    let opened = match web_socket::opened(&request, exchange.connection, services).await {
        Ok(opened) => opened,
        Err(answer) => return *answer,
    };
    let prepared = match prepare(services, TransportName::WebSocket) {
        Ok(prepared) => prepared,
        Err(answer) => return *answer,
    };
    let mut switching = web_socket::switching(accepted);
    set_cookie(switching.headers_mut(), prepared.handle(), &services.config.socket_io);
    let limit = services.config.socket_io.max_http_buffer_size;
    exchange.upgrade.start(request, move |stream| {
        socket_io::serve_web_socket(prepared, opened, Socket::new(stream, limit))
    });
    switching
}

/// A WebSocket for a session that polls. One that is not wanted is closed after
/// the handshake.
fn upgrade_to_web_socket(
    request: Request<()>,
    exchange: Exchange<'_>,
    session: Arc<Handle>,
    services: &Arc<Services>,
) -> Answer {
    let accepted = match web_socket::accept(&request, exchange.connection, services, &[]) {
        Ok(accepted) => accepted,
        Err(answer) => return *answer,
    };
    let services = Arc::clone(services);
    exchange.upgrade.start(request, move |stream| async move {
        let socket = Socket::new(stream, services.config.socket_io.max_http_buffer_size);
        socket_io::lend(session, socket, &services).await;
    });
    web_socket::switching(accepted)
}

async fn poll(session: &Arc<Handle>, services: &Services) -> Answer {
    match session.poll(services).await {
        Ok(Polled::Payload(payload)) => {
            response::content(StatusCode::OK, "text/plain; charset=UTF-8", payload)
        }
        Ok(Polled::Over) => refuse(Refusal::UnknownSession, services),
        Err(_) => refuse(Refusal::BadRequest, services),
    }
}

async fn post(request: &Request<()>, body: Incoming, session: &Arc<Handle>, services: &Services) -> Answer {
    let Ok(posting) = session.post(services) else {
        return drained(body, refuse(Refusal::BadRequest, services), services).await;
    };
    let patience = services.config.server.tomcat.connection_timeout;
    let payload = match body::collect(body, services.config.socket_io.max_http_buffer_size, patience).await {
        Ok(payload) => payload,
        Err(answer) => return answer,
    };
    // Binary bodies were of protocol 3.
    let is_binary =
        request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/octet-stream");
    let delivered = if is_binary { Err(posting.refuse()) } else { posting.deliver(payload).await };
    match delivered {
        Ok(()) => response::content(StatusCode::OK, "text/html", "ok"),
        Err(_) => refuse(Refusal::BadRequest, services),
    }
}

fn set_cookie(headers: &mut HeaderMap, session: &Handle, config: &SocketIoConfig) {
    let Some(name) = &config.cookie else { return };
    let cookie = format!("{name}={}; Path=/; HttpOnly; SameSite=Lax", session.sid());
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        headers.append(SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_is_at_its_path_with_a_slash() {
        let config = SocketIoConfig::default();
        assert!(is_here("/socket.io/", &config));
        for path in ["/socket.io", "/socket.io/x", "/socket.iox/", "/"] {
            assert!(!is_here(path, &config), "{path}");
        }
        assert!(!is_here("/socket.io/", &SocketIoConfig { enabled: false, ..config }));
    }
}

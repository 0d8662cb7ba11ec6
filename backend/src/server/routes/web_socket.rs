//! WebSocket endpoints: the handshake, and who may open one.

use std::sync::Arc;

use http::header::{HOST, HeaderValue, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Request, StatusCode};

use crate::auth::{Action, AuthError, Client, Principal};
use crate::endpoint::{self, Opened, STOMP_PROTOCOLS, Services};
use crate::limits::LimitError;
use crate::server::connection::Connection;
use crate::server::response::{self, Answer};
use crate::ws::Socket;
use crate::ws::handshake::{self, Accepted, HandshakeError};

use super::{Exchange, forwarded};

/// STOMP on a WebSocket of its own.
pub(super) async fn stomp(request: Request<()>, exchange: Exchange<'_>, services: &Arc<Services>) -> Answer {
    let accepted = match accept(&request, exchange.connection, services, &STOMP_PROTOCOLS) {
        Ok(accepted) => accepted,
        Err(answer) => return *answer,
    };
    let opened = match opened(&request, exchange.connection, services).await {
        Ok(opened) => opened,
        Err(answer) => return *answer,
    };
    let services = Arc::clone(services);
    exchange.upgrade.start(request, move |stream| {
        let socket = Socket::new(stream, services.stomp_message_limit());
        endpoint::serve_stomp(socket, services, opened)
    });
    switching(accepted)
}

/// `/echo`, where only the handshake can bring a token.
pub(super) async fn echo(request: Request<()>, exchange: Exchange<'_>, services: &Arc<Services>) -> Answer {
    let accepted = match accept(&request, exchange.connection, services, &[]) {
        Ok(accepted) => accepted,
        Err(answer) => return *answer,
    };
    let opened = match opened(&request, exchange.connection, services).await {
        Ok(opened) => opened,
        Err(answer) => return *answer,
    };
    if services.security.required && opened.client.principal.is_none() {
        return unauthorized(&services.security.ended(AuthError::Missing, opened.client.address));
    }
    let services = Arc::clone(services);
    exchange.upgrade.start(request, move |stream| async move {
        let socket = Socket::new(stream, services.config.websocket.echo_message_size_limit);
        endpoint::serve_echo(socket, &services, opened).await;
    });
    switching(accepted)
}

/// A session of the request's client, with a name of its own; or the answer to
/// a client that may not have one: 429 when there are too many, 401 for a token
/// that names nobody. No token is no fault here, since CONNECT may bring one.
pub(super) async fn opened(
    request: &Request<()>,
    connection: &Connection,
    services: &Services,
) -> Result<Opened, Box<Answer>> {
    let address = forwarded(request.headers(), connection, services).client;
    let count = |answer| {
        services.metrics.websocket_connection_errors.with_label_values(&["handshake"]).inc();
        Box::new(answer)
    };
    let too_many = |error: LimitError| count(too_many(error));
    let places = services.admission.address(address).map_err(too_many)?;
    let named = services.security.handshake(request.headers(), request.uri().query(), address).await;
    let principal = named.map_err(|error| count(unauthorized(&error)))?;
    let places = match &principal {
        Some(principal) => services.admission.user(&places, &principal.name, address).map_err(too_many)?,
        None => places,
    };
    let client = Client { address, principal, places };
    Ok(Opened {
        session: format!("{:016x}", rand::random::<u64>()).into(),
        client: Arc::new(client),
        jitter: rand::random(),
    })
}

/// Whether a request may read what is otherwise subscribed to; or 401, 403.
pub(super) async fn may_read(
    request: &Request<()>,
    connection: &Connection,
    services: &Services,
    destination: &str,
) -> Result<(), Box<Answer>> {
    let address = forwarded(request.headers(), connection, services).client;
    let security = &services.security;
    let named = security.handshake(request.headers(), request.uri().query(), address).await;
    let principal = match named {
        Ok(principal) => security.connect(None, principal.as_ref(), address).await,
        Err(error) => Err(error),
    };
    let principal = principal.map_err(|error| Box::new(unauthorized(&error)))?;
    security
        .check_permission(Action::Subscribe, destination, principal.as_deref(), address)
        .map_err(|denied| Box::new(response::error(StatusCode::FORBIDDEN, &denied.to_string())))
}

/// Who sends a request of a session that is open, which needs no further place.
/// 401 for a token that names nobody.
pub(super) async fn principal(
    request: &Request<()>,
    connection: &Connection,
    services: &Services,
) -> Result<Option<Arc<Principal>>, Box<Answer>> {
    let address = forwarded(request.headers(), connection, services).client;
    let named = services.security.handshake(request.headers(), request.uri().query(), address).await;
    named.map_err(|error| Box::new(unauthorized(&error)))
}

/// Checks a handshake: its form, its origin, and that the server stays.
pub(super) fn accept(
    request: &Request<()>,
    connection: &Connection,
    services: &Services,
    protocols: &[&'static str],
) -> Result<Accepted, Box<Answer>> {
    let errors = &services.metrics.websocket_connection_errors;
    let accepted = handshake::accept(request, protocols).map_err(|error| {
        errors.with_label_values(&["handshake"]).inc();
        Box::new(refused(error))
    })?;
    check_origin(request, connection, services).inspect_err(|_| {
        errors.with_label_values(&["handshake"]).inc();
    })?;
    if services.lifecycle.closing().is_cancelled() {
        return Err(Box::new(response::error(StatusCode::SERVICE_UNAVAILABLE, "server is going away")));
    }
    Ok(accepted)
}

/// 403 for a page that may not open a session.
pub(super) fn check_origin(
    request: &Request<()>,
    connection: &Connection,
    services: &Services,
) -> Result<(), Box<Answer>> {
    allowed_origin(request, connection, services).map(drop)
}

/// What CORS answers in `Access-Control-Allow-Origin`, none where there is no
/// Origin; or 403 for a page that may not open a session.
pub(super) fn allowed_origin(
    request: &Request<()>,
    connection: &Connection,
    services: &Services,
) -> Result<Option<HeaderValue>, Box<Answer>> {
    let forwarded = forwarded(request.headers(), connection, services);
    let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    let host = forwarded.host.as_deref().or_else(|| header(HOST));
    match services.security.check_origin(header(ORIGIN), host, forwarded.client) {
        Ok(_) => Ok(request.headers().get(ORIGIN).cloned()),
        Err(error) => Err(Box::new(response::error(StatusCode::FORBIDDEN, &error.to_string()))),
    }
}

/// The 101 response.
pub(super) fn switching(accepted: Accepted) -> Answer {
    let mut switching = Answer::default();
    *switching.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *switching.headers_mut() = accepted.0;
    switching
}

fn refused(error: HandshakeError) -> Answer {
    let mut answer = response::error(error.status(), &error.to_string());
    if let Some((name, value)) = error.header() {
        answer.headers_mut().insert(name, value);
    }
    answer
}

/// 401, or 503 when tokens cannot be checked.
fn unauthorized(error: &AuthError) -> Answer {
    let (status, challenge) = match error {
        AuthError::Unavailable => {
            return response::error(StatusCode::SERVICE_UNAVAILABLE, &error.to_string());
        }
        AuthError::Missing => (StatusCode::UNAUTHORIZED, "Bearer"),
        _ => (StatusCode::UNAUTHORIZED, "Bearer error=\"invalid_token\""),
    };
    let mut answer = response::error(status, &error.to_string());
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    answer
}

fn too_many(error: LimitError) -> Answer {
    let mut answer = response::error(StatusCode::TOO_MANY_REQUESTS, &error.to_string());
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

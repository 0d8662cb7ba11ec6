//! WebSocket endpoints: the handshake, and who may open one.

use std::sync::Arc;

use http::header::{HOST, ORIGIN};
use http::{Request, StatusCode};

use crate::auth::{self, Client};
use crate::endpoint::{self, Opened, STOMP_PROTOCOLS, Services};
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

/// `/echo`.
pub(super) fn echo(request: Request<()>, exchange: Exchange<'_>, services: &Arc<Services>) -> Answer {
    let accepted = match accept(&request, exchange.connection, services, &[]) {
        Ok(accepted) => accepted,
        Err(answer) => return *answer,
    };
    let services = Arc::clone(services);
    exchange.upgrade.start(request, move |stream| async move {
        let socket = Socket::new(stream, services.config.websocket.echo_message_size_limit);
        endpoint::serve_echo(socket, &services, rand::random()).await;
    });
    switching(accepted)
}

/// A session of the request's client, with a name of its own; or the answer to
/// a client that may not have one.
#[expect(clippy::unused_async, reason = "whom a token names may be asked elsewhere")]
pub(super) async fn opened(
    request: &Request<()>,
    connection: &Connection,
    services: &Services,
) -> Result<Opened, Box<Answer>> {
    let client =
        Client { address: forwarded(request.headers(), connection, services).client, principal: None };
    Ok(Opened {
        session: format!("{:016x}", rand::random::<u64>()).into(),
        client: Arc::new(client),
        jitter: rand::random(),
    })
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

/// 403 for a page of a foreign origin.
pub(super) fn check_origin(
    request: &Request<()>,
    connection: &Connection,
    services: &Services,
) -> Result<(), Box<Answer>> {
    let forwarded = forwarded(request.headers(), connection, services);
    let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    let host = forwarded.host.as_deref().or_else(|| header(HOST));
    if auth::is_allowed(header(ORIGIN), host, &services.config.websocket.allowed_origins) {
        return Ok(());
    }
    tracing::warn!(origin = header(ORIGIN), host, "session of a foreign origin refused");
    Err(Box::new(response::error(StatusCode::FORBIDDEN, "origin not allowed")))
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

//! What a session's own addresses answer.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, UPGRADE};
use http::{Method, Request, Response, StatusCode};

use crate::endpoint::sock_js::{self as sessions, FramedSocket, OpenError, Receiver, Session};
use crate::endpoint::{self, Services};
use crate::server::body::Reply;
use crate::server::response::{self, Answer};
use crate::sock_js::client;
use crate::sock_js::frame::Framing;
use crate::sock_js::{Callback, Transport, field};
use crate::ws::handshake::{self, HandshakeError};

use super::page_origin::{self, Exposure};
use super::{Exchange, TEXT, headers, method_not_allowed, not_found, web_socket};

/// A request for a session.
pub(super) struct Call<'a> {
    pub(super) request: Request<()>,
    pub(super) body: Bytes,
    pub(super) session: &'a str,
    pub(super) transport: Transport,
}

/// Answers it.
pub(super) async fn respond(call: Call<'_>, exchange: Exchange<'_>, services: &Arc<Services>) -> Answer {
    let config = &services.config.sockjs;
    let transport = call.transport;
    if transport == Transport::WebSocket {
        return if config.web_socket_enabled {
            open_web_socket(call.request, exchange, services).await
        } else {
            not_found()
        };
    }
    let exposure = if transport == Transport::Jsonp { Exposure::Open } else { Exposure::Guarded };
    if let Err(answer) = page_origin::check(&call.request, exposure, exchange.connection, services) {
        return *answer;
    }
    let (method, allowed) = methods(transport);
    if call.request.method() == Method::OPTIONS && allowed.starts_with("OPTIONS") {
        let mut answer = headers::preflight(call.request.headers(), allowed, SystemTime::now());
        if config.session_cookie_needed {
            headers::session_cookie(answer.headers_mut(), call.request.headers());
        }
        return answer;
    }
    if *call.request.method() != method {
        return method_not_allowed(allowed);
    }
    let mut answer = carry(&call, &exchange, services).await.unwrap_or_else(|answer| *answer);
    let request_headers = call.request.headers();
    headers::never_cached(answer.headers_mut());
    headers::allow_origin(answer.headers_mut(), request_headers);
    if config.session_cookie_needed {
        headers::session_cookie(answer.headers_mut(), request_headers);
    }
    answer
}

/// The method of a transport, and what to allow.
fn methods(transport: Transport) -> (Method, &'static str) {
    match transport {
        Transport::Xhr | Transport::XhrStreaming | Transport::XhrSend => (Method::POST, "OPTIONS, POST"),
        Transport::JsonpSend => (Method::POST, "POST"),
        Transport::WebSocket | Transport::EventSource | Transport::HtmlFile | Transport::Jsonp => {
            (Method::GET, "GET")
        }
    }
}

/// Takes messages of the client, or gives it those for it.
async fn carry(
    call: &Call<'_>,
    exchange: &Exchange<'_>,
    services: &Arc<Services>,
) -> Result<Answer, Box<Answer>> {
    let callback = || {
        let callback = Callback::try_from_query(call.request.uri().query());
        callback.map_err(|error| Box::new(failed(&error)))
    };
    let framing = match call.transport {
        Transport::XhrSend => {
            deliver(call, &call.body, exchange, services).await?;
            let mut answer = response::content(StatusCode::NO_CONTENT, TEXT, Bytes::new());
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
            return Ok(answer);
        }
        Transport::JsonpSend => {
            deliver(call, &payload_of_form(call), exchange, services).await?;
            return Ok(response::content(StatusCode::OK, TEXT, "ok"));
        }
        Transport::WebSocket => return Err(Box::new(not_found())),
        Transport::Xhr => Framing::Xhr,
        Transport::XhrStreaming => Framing::XhrStreaming,
        Transport::EventSource => Framing::EventSource,
        Transport::HtmlFile => Framing::HtmlFile(callback()?),
        Transport::Jsonp => Framing::Jsonp(callback()?),
    };
    let session = match find(call, exchange, services).await? {
        Some(session) => session,
        None => begin(call, &framing, exchange, services).await?,
    };
    Ok(receive(session, framing, services).await)
}

/// 500 with its text, as the protocol has it.
fn failed(error: &impl std::error::Error) -> Answer {
    response::content(StatusCode::INTERNAL_SERVER_ERROR, TEXT, error.to_string())
}

/// The session, if there is one. It is not found by others than its user.
async fn find(
    call: &Call<'_>,
    exchange: &Exchange<'_>,
    services: &Services,
) -> Result<Option<Arc<Session>>, Box<Answer>> {
    let user = web_socket::principal(&call.request, exchange.connection, services).await?;
    services.sock_js.find(call.session, user.as_deref()).map_err(refused)
}

/// The session, which begins.
async fn begin(
    call: &Call<'_>,
    framing: &Framing,
    exchange: &Exchange<'_>,
    services: &Arc<Services>,
) -> Result<Arc<Session>, Box<Answer>> {
    let opened = web_socket::opened(&call.request, exchange.connection, services).await?;
    let tasks = &exchange.upgrade.tasks;
    sessions::open(services, tasks, call.session, opened, framing).map_err(refused)
}

fn refused(error: OpenError) -> Box<Answer> {
    Box::new(match error {
        OpenError::Foreign => not_found(),
        OpenError::Full(_) | OpenError::Leaving => {
            response::error(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())
        }
    })
}

/// The next frames of a session.
async fn receive(session: Arc<Session>, framing: Framing, services: &Services) -> Answer {
    let content_type = HeaderValue::from_static(framing.content_type());
    let is_streaming = framing.is_streaming();
    let is_page = matches!(framing, Framing::HtmlFile(_));
    let mut receiver = Receiver::new(session, framing, &services.config.sockjs);
    let body = if is_streaming {
        let parts = stream::unfold(receiver, |mut receiver| async move {
            let part = receiver.next().await?;
            Some((part, receiver))
        });
        Reply::Parts(Box::pin(parts))
    } else {
        Reply::Whole(receiver.next().await.unwrap_or_default().into())
    };
    let mut answer = Response::new(body);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers::not_sniffed(headers);
    if is_page {
        headers::frame_ancestors(headers, &services.config.websocket.allowed_origins);
    }
    answer
}

/// What a form says, or the body itself.
fn payload_of_form(call: &Call<'_>) -> Bytes {
    let content_type = call.request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let form = "application/x-www-form-urlencoded";
    if content_type.is_some_and(|value| value.to_ascii_lowercase().contains(form)) {
        field(&String::from_utf8_lossy(&call.body), "d").unwrap_or_default().into()
    } else {
        call.body.clone()
    }
}

/// Hands the messages of a payload to the session.
async fn deliver(
    call: &Call<'_>,
    payload: &[u8],
    exchange: &Exchange<'_>,
    services: &Services,
) -> Result<(), Box<Answer>> {
    let session = find(call, exchange, services).await?.ok_or_else(|| Box::new(not_found()))?;
    let messages = client::array(payload).map_err(|error| Box::new(failed(&error)))?;
    session.link().deliver(messages).await.map_err(|_| Box::new(not_found()))
}

/// SockJS frames on a WebSocket. Its name may be that of other sessions.
async fn open_web_socket(request: Request<()>, exchange: Exchange<'_>, services: &Arc<Services>) -> Answer {
    match handshake::accept(&request, &[]) {
        Err(HandshakeError::Method) => return method_not_allowed("GET"),
        Err(HandshakeError::NotUpgrade) => return no_upgrade(&request),
        Ok(_) | Err(HandshakeError::Version | HandshakeError::Key) => {}
    }
    let accepted = match web_socket::accept(&request, exchange.connection, services, &[]) {
        Ok(accepted) => accepted,
        Err(answer) => return *answer,
    };
    let opened = match web_socket::opened(&request, exchange.connection, services).await {
        Ok(opened) => opened,
        Err(answer) => return *answer,
    };
    let services = Arc::clone(services);
    exchange.upgrade.start(request, move |stream| {
        endpoint::serve_stomp(FramedSocket::new(stream, &services), services, opened)
    });
    web_socket::switching(accepted)
}

/// 400 with what is missing, as the protocol has it.
fn no_upgrade(request: &Request<()>) -> Answer {
    let headers = request.headers();
    let upgrades = headers
        .get(UPGRADE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
    let text = if upgrades && !headers.contains_key(CONNECTION) {
        "\"Connection\" must be \"Upgrade\"."
    } else {
        "Can \"Upgrade\" only to \"WebSocket\"."
    };
    response::content(StatusCode::BAD_REQUEST, TEXT, text)
}

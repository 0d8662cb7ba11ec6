//! What a session's own addresses answer.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, UPGRADE};
use http::{Method, Request, Response, StatusCode};

use crate::auth::Client;
use crate::endpoint::sock_js::{self as sessions, FramedSocket, OpenError, Receiver};
use crate::endpoint::{self, Opened, Services};
use crate::server::body::Reply;
use crate::server::response::{self, Answer};
use crate::sock_js::client::{self, PayloadError};
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
    let mut answer = match web_socket::opened(&call.request, exchange.connection, services).await {
        Ok(opened) => carry(&call, opened, &exchange, services).await,
        Err(answer) => *answer,
    };
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
async fn carry(call: &Call<'_>, opened: Opened, exchange: &Exchange<'_>, services: &Arc<Services>) -> Answer {
    let callback = || Callback::try_from_query(call.request.uri().query());
    let framing = match call.transport {
        Transport::XhrSend => return send(call, &opened.client, &call.body, services).await,
        Transport::JsonpSend => return send_form(call, &opened.client, services).await,
        Transport::Xhr => Ok(Framing::Xhr),
        Transport::XhrStreaming => Ok(Framing::XhrStreaming),
        Transport::EventSource => Ok(Framing::EventSource),
        Transport::HtmlFile => callback().map(Framing::HtmlFile),
        Transport::Jsonp => callback().map(Framing::Jsonp),
        Transport::WebSocket => return not_found(),
    };
    match framing {
        Ok(framing) => receive(call, opened, framing, exchange, services).await,
        Err(error) => failed(&error),
    }
}

/// 500 with its text, as the protocol has it.
fn failed(error: &impl std::error::Error) -> Answer {
    response::content(StatusCode::INTERNAL_SERVER_ERROR, TEXT, error.to_string())
}

/// The next frames of the session, which begins if there is none.
async fn receive(
    call: &Call<'_>,
    opened: Opened,
    framing: Framing,
    exchange: &Exchange<'_>,
    services: &Arc<Services>,
) -> Answer {
    let session = match sessions::open(services, &exchange.upgrade.tasks, call.session, opened, &framing) {
        Ok(session) => session,
        Err(OpenError::Foreign) => return not_found(),
        Err(error @ (OpenError::Full(_) | OpenError::Leaving)) => {
            return response::error(StatusCode::SERVICE_UNAVAILABLE, &error.to_string());
        }
    };
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

/// `xhr_send`.
async fn send(call: &Call<'_>, client: &Client, payload: &[u8], services: &Services) -> Answer {
    match deliver(call, client, payload, services).await {
        Ok(()) => {
            let mut answer = response::content(StatusCode::NO_CONTENT, TEXT, Bytes::new());
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
            answer
        }
        Err(answer) => *answer,
    }
}

/// `jsonp_send`: a form, or the payload itself.
async fn send_form(call: &Call<'_>, client: &Client, services: &Services) -> Answer {
    let content_type = call.request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_form = content_type
        .is_some_and(|value| value.to_ascii_lowercase().contains("application/x-www-form-urlencoded"));
    let payload = if is_form {
        let form = String::from_utf8_lossy(&call.body);
        field(&form, "d").unwrap_or_default().into()
    } else {
        call.body.clone()
    };
    match deliver(call, client, &payload, services).await {
        Ok(()) => response::content(StatusCode::OK, TEXT, "ok"),
        Err(answer) => *answer,
    }
}

/// Hands the messages of a payload to the session.
async fn deliver(
    call: &Call<'_>,
    client: &Client,
    payload: &[u8],
    services: &Services,
) -> Result<(), Box<Answer>> {
    let messages = client::array(payload).map_err(|error: PayloadError| Box::new(failed(&error)))?;
    let session = services.sock_js.find(call.session, client).ok_or_else(|| Box::new(not_found()))?;
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

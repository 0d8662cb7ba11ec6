//! The STOMP endpoint: SockJS, and WebSocket without it.

mod headers;
mod page_origin;
mod session;

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, UPGRADE};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;

use crate::config::{Config, SockJsConfig};
use crate::endpoint::Services;
use crate::server::body;
use crate::server::response::{self, Answer};
use crate::sock_js::{self, Etag, Info, Route};

use super::{Exchange, web_socket};
use page_origin::Exposure;

/// Largest request body that is read, in bytes: clients send all that has
/// gathered in one request.
const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// The same of a body that nobody wants.
const SWALLOWED: u64 = 4 * 1024 * 1024;

const TEXT: &str = "text/plain; charset=UTF-8";

/// What follows the endpoint's own path: empty, or with a slash at its start.
/// None for what is elsewhere.
pub(super) fn under<'a>(path: &'a str, config: &SockJsConfig) -> Option<&'a str> {
    let rest = path.strip_prefix(config.path.as_str())?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// Answers a request under the endpoint's path.
pub(super) async fn respond(
    request: Request<Incoming>,
    rest: &str,
    exchange: Exchange<'_>,
    services: &Arc<Services>,
) -> Answer {
    let (parts, body) = request.into_parts();
    let patience = services.config.server.tomcat.connection_timeout;
    let route = sock_js::route(rest);
    // Nobody's messages are not kept.
    let is_wanted = matches!(route, Some(Route::Session { session, transport })
        if transport.is_of_client() && services.sock_js.has(session));
    let body = if is_wanted {
        body::collect(body, BODY_LIMIT, patience).await
    } else {
        body::swallow(body, SWALLOWED, patience).await.map(|_| Bytes::new())
    };
    let body = match body {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let request = Request::from_parts(parts, ());
    match route {
        Some(Route::Greeting) if rest.is_empty() && request.headers().contains_key(UPGRADE) => {
            raw_web_socket(request, exchange, services).await
        }
        Some(Route::RawWebSocket) => raw_web_socket(request, exchange, services).await,
        Some(Route::Greeting) => only_read(&request, greeting),
        Some(Route::Info) => info(&request, &exchange, services),
        Some(Route::Iframe) => only_read(&request, || iframe(&request, &services.config)),
        Some(Route::Session { session, transport }) => {
            session::respond(session::Call { request, body, session, transport }, exchange, services).await
        }
        None => not_found(),
    }
}

/// STOMP on a WebSocket without framing.
async fn raw_web_socket(request: Request<()>, exchange: Exchange<'_>, services: &Arc<Services>) -> Answer {
    if services.config.sockjs.web_socket_enabled {
        web_socket::stomp(request, exchange, services).await
    } else {
        not_found()
    }
}

fn not_found() -> Answer {
    response::error(StatusCode::NOT_FOUND, "not found")
}

/// 405 without a body, as the protocol has it.
fn method_not_allowed(allowed: &'static str) -> Answer {
    let mut answer = response::method_not_allowed(allowed);
    *answer.body_mut() = body::Reply::default();
    answer.headers_mut().remove(CONTENT_TYPE);
    answer
}

fn only_read(request: &Request<()>, answer: impl FnOnce() -> Answer) -> Answer {
    if request.method() == Method::GET || request.method() == Method::HEAD {
        answer()
    } else {
        method_not_allowed("GET")
    }
}

fn greeting() -> Answer {
    response::content(StatusCode::OK, TEXT, sock_js::GREETING)
}

fn info(request: &Request<()>, exchange: &Exchange<'_>, services: &Services) -> Answer {
    if let Err(answer) = page_origin::check(request, Exposure::Guarded, exchange.connection, services) {
        return *answer;
    }
    if request.method() == Method::OPTIONS {
        return headers::preflight(request.headers(), "OPTIONS, GET", SystemTime::now());
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return method_not_allowed("OPTIONS, GET");
    }
    let config = &services.config.sockjs;
    let info = Info { web_socket: config.web_socket_enabled, cookie_needed: config.session_cookie_needed };
    let json = info.to_json(&mut rand::rng());
    let mut answer = response::content(StatusCode::OK, "application/json; charset=UTF-8", json);
    headers::never_cached(answer.headers_mut());
    headers::allow_origin(answer.headers_mut(), request.headers());
    answer
}

/// The page that lets a page of another origin reach this one.
fn iframe(request: &Request<()>, config: &Config) -> Answer {
    let page = sock_js::iframe(&config.sockjs.client_library_url);
    let etag = Etag::of(&page);
    let names = |value: &HeaderValue| value.to_str().is_ok_and(|value| etag.is_named_by(value));
    let mut answer = if request.headers().get_all(IF_NONE_MATCH).iter().any(names) {
        let mut unchanged = response::content(StatusCode::NOT_MODIFIED, TEXT, Bytes::new());
        unchanged.headers_mut().remove(CONTENT_TYPE);
        unchanged
    } else {
        response::content(StatusCode::OK, "text/html; charset=UTF-8", page)
    };
    headers::cached_for_a_year(answer.headers_mut(), SystemTime::now());
    headers::frame_ancestors(answer.headers_mut(), &config.websocket.allowed_origins);
    if let Ok(etag) = HeaderValue::from_str(etag.as_str()) {
        answer.headers_mut().insert(ETAG, etag);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_under_the_endpoint_by_whole_segments() {
        let config = SockJsConfig { path: "/app/ws".to_owned(), ..SockJsConfig::default() };
        for (path, expected) in [
            ("/app/ws", Some("")),
            ("/app/ws/", Some("/")),
            ("/app/ws/info", Some("/info")),
            ("/app/wss", None),
            ("/app", None),
            ("/ws", None),
        ] {
            assert_eq!(under(path, &config), expected, "{path}");
        }
    }
}

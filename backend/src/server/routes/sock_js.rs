//! The STOMP endpoint: SockJS, and WebSocket without it.

use std::sync::Arc;

use http::header::UPGRADE;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;

use crate::config::SockJsConfig;
use crate::endpoint::Services;
use crate::server::body;
use crate::server::response::{self, Answer};

use super::{Exchange, web_socket};

/// Largest request body that is read, in bytes: clients send all that has
/// gathered in one request.
const BODY_LIMIT: usize = 4 * 1024 * 1024;

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
    if let Err(answer) = body::collect(body, BODY_LIMIT, patience).await {
        return answer;
    }
    let request = Request::from_parts(parts, ());
    match rest {
        "" if request.headers().contains_key(UPGRADE) => web_socket::stomp(request, exchange, services).await,
        "/websocket" => web_socket::stomp(request, exchange, services).await,
        "" | "/" if request.method() == Method::GET => {
            response::content(StatusCode::OK, "text/plain; charset=UTF-8", "Welcome to SockJS!\n")
        }
        "" | "/" => response::method_not_allowed("GET"),
        _ => response::error(StatusCode::NOT_FOUND, "not found"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_under_the_endpoint_by_whole_segments() {
        let config = SockJsConfig { path: "/app/ws".to_owned() };
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

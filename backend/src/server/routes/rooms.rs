//! `GET /rooms/{id}/messages` and `GET /auctions/{id}/bids`: what was said
//! before, from the message store. `GET /rooms/{id}/presence`: who is there.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, HeaderValue, ORIGIN, RETRY_AFTER, VARY,
};
use http::{Method, Request, StatusCode};

use crate::app::{history, rooms};
use crate::endpoint::Services;
use crate::server::connection::Connection;
use crate::server::response::{self, Answer, JSON};
use crate::store::{Kept, MessageId, Status};

use super::web_socket;

/// Messages where `limit` is not given.
const LIMIT: usize = 50;

/// What a path below `/rooms` or `/auctions` names.
#[derive(Debug, PartialEq, Eq)]
enum Resource {
    /// The messages of a destination.
    Messages(String),
    /// Who is in the room of a destination.
    Presence(String),
    /// No id can be as this one; the rule for ids.
    Malformed(String),
}

/// Whether the path is one of these.
pub(super) fn is_below(path: &str) -> bool {
    path.starts_with("/rooms/") || path.starts_with("/auctions/")
}

/// Answers a request below `/rooms` or `/auctions`.
pub(super) async fn respond(request: Request<()>, connection: &Connection, services: &Services) -> Answer {
    if let Err(answer) = web_socket::check_origin(&request, connection, services) {
        return *answer;
    }
    let mut answer = match resource(request.uri().path()) {
        None => response::error(StatusCode::NOT_FOUND, "not found"),
        Some(_) if request.method() == Method::OPTIONS => preflight(),
        Some(_) if request.method() != Method::GET && request.method() != Method::HEAD => {
            response::method_not_allowed("GET, HEAD, OPTIONS")
        }
        Some(Resource::Malformed(rule)) => response::error(StatusCode::BAD_REQUEST, &rule),
        Some(Resource::Presence(destination)) => {
            match web_socket::may_read(&request, connection, services, &destination).await {
                Ok(()) => presence(&destination, services),
                Err(answer) => *answer,
            }
        }
        Some(Resource::Messages(destination)) => {
            match web_socket::may_read(&request, connection, services, &destination).await {
                Ok(()) => messages(&destination, request.uri().query().unwrap_or_default(), services).await,
                Err(answer) => *answer,
            }
        }
    };
    share(&request, &mut answer);
    answer
}

/// By its path alone.
fn resource(path: &str) -> Option<Resource> {
    let mut segments = path.split('/').skip(1);
    let (kind, id, what) = (segments.next()?, segments.next()?, segments.next()?);
    let (destination, resource): (fn(&str) -> _, fn(_) -> _) = match (kind, what, segments.next()) {
        ("rooms", "messages", None) => (rooms::room, Resource::Messages),
        ("rooms", "presence", None) => (rooms::room, Resource::Presence),
        ("auctions", "bids", None) => (rooms::auction, Resource::Messages),
        _ => return None,
    };
    Some(match destination(&decoded(id)) {
        Ok(destination) => resource(destination),
        Err(rejection) => Resource::Malformed(rejection.to_string()),
    })
}

fn presence(destination: &str, services: &Services) -> Answer {
    match services.presence.members(destination) {
        Some(report) => response::content(StatusCode::OK, JSON, report.to_json()),
        None => response::error(StatusCode::NOT_FOUND, "presence is off"),
    }
}

async fn messages(destination: &str, query: &str, services: &Services) -> Answer {
    let page = match Page::parse(query) {
        Ok(page) => page,
        Err(problem) => return response::error(StatusCode::BAD_REQUEST, &problem),
    };
    if services.store.status() == Status::Off {
        return response::error(StatusCode::NOT_FOUND, "the message store is off");
    }
    match services.store.page(destination, page.before, page.limit).await {
        Ok(page) => match history::to_json(page.iter().map(message)) {
            Ok(body) => response::content(StatusCode::OK, JSON, body),
            Err(error) => super::internal(&error),
        },
        Err(_) => {
            let mut answer =
                response::error(StatusCode::SERVICE_UNAVAILABLE, "the message store cannot be read");
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
            answer
        }
    }
}

fn message(kept: &Kept) -> history::Message<'_> {
    let Kept { id, message } = kept;
    history::Message {
        id: id.to_string(),
        timestamp: message.timestamp,
        content_type: &message.content_type,
        body: &message.body,
    }
}

/// Which messages are wanted.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    limit: usize,
    before: Option<MessageId>,
}

impl Page {
    /// Parameters that nobody knows are passed over.
    fn parse(query: &str) -> Result<Self, String> {
        let mut page = Self { limit: LIMIT, before: None };
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| *limit > 0);
                    page.limit = limit.ok_or("limit must be a number above zero")?;
                }
                "before" => page.before = Some(value.parse().map_err(|error| format!("before is {error}"))?),
                _ => {}
            }
        }
        Ok(page)
    }
}

/// The answer to a browser that asks whether it may ask (Fetch standard, CORS
/// preflight).
fn preflight() -> Answer {
    let mut answer = Answer::default();
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let headers = answer.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, OPTIONS"));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, content-type"));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
    answer
}

/// Lets the page read the answer, whose origin was found to be allowed.
fn share(request: &Request<()>, answer: &mut Answer) {
    let headers = answer.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = request.headers().get(ORIGIN) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

/// A segment of a path without percent-encoding (RFC 3986, section 2.1); what is
/// malformed stays as it is.
fn decoded(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let octet = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match octet {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_destination_or_nothing() {
        let messages = |destination: &str| Some(Resource::Messages(destination.to_owned()));
        assert_eq!(resource("/rooms/general/messages"), messages("/topic/room.general"));
        assert_eq!(resource("/rooms/caf%C3%A9/messages"), messages("/topic/room.café"));
        assert_eq!(resource("/auctions/7/bids"), messages("/topic/auction.7"));
        for path in ["/rooms/a", "/rooms/a/", "/rooms/a/bids", "/rooms/a/messages/", "/auctions/7/messages"] {
            assert_eq!(resource(path), None, "{path}");
        }
        for path in
            ["/rooms//messages", "/rooms/a.b/messages", "/rooms/a%2Fb/messages", "/rooms/%zz/messages"]
        {
            assert!(matches!(resource(path), Some(Resource::Malformed(_))), "{path}");
        }
    }

    #[test]
    fn a_query_names_a_page() {
        assert_eq!(Page::parse(""), Ok(Page { limit: LIMIT, before: None }));
        let id = "01923456-789a-7000-8000-0123456789ab";
        let page = Page::parse(&format!("before={id}&x=y&limit=3&flag"));
        assert_eq!(page, Ok(Page { limit: 3, before: id.parse().ok() }));
        for query in ["limit=0", "limit=-1", "limit=a", "limit=", "before=7", "before="] {
            assert!(Page::parse(query).is_err(), "{query}");
        }
    }
}

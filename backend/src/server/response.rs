//! Responses.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;

use super::body::Reply;

/// A response of ours.
pub(super) type Answer = Response<Reply>;

pub(super) const JSON: &str = "application/json";

/// A response with a body.
pub(super) fn content(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Reply::Whole(Full::new(body.into())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An error in JSON: its status and a text.
pub(super) fn error(status: StatusCode, text: &str) -> Answer {
    let body = serde_json::json!({ "status": status.as_u16(), "error": text });
    content(status, JSON, body.to_string())
}

/// An error after which the connection closes, since what follows on it is not
/// known to be a request.
pub(super) fn fatal(status: StatusCode, text: &str) -> Answer {
    let mut response = error(status, text);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// What may be done with an address.
pub(super) fn options(allowed: &'static str) -> Answer {
    let mut response = Answer::default();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// 405 with the methods that are allowed.
pub(super) fn method_not_allowed(allowed: &'static str) -> Answer {
    let mut response = error(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

//! Answers of the admin API: text, JSON, and bodies that are still being made while they are sent.

use std::{convert::Infallible, error::Error};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use serde_json::Value;

use super::api_error::ApiError;

/// An answer.
pub(super) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Plain text.
pub(super) fn text(status: StatusCode, body: &'static str) -> Answer {
    let mut answer = with_type(body, "text/plain; charset=utf-8");
    *answer.status_mut() = status;
    answer
}

/// JSON for people, too.
pub(super) fn with_json(status: StatusCode, value: &Value) -> Answer {
    let mut answer = with_type(format!("{value:#}\n"), "application/json");
    *answer.status_mut() = status;
    answer
}

/// An error of the API.
pub(super) fn with_error(error: &ApiError) -> Answer {
    with_json(error.status, &error.body())
}

/// 200 with a body of this type, which nobody may keep.
pub(super) fn with_type(body: impl Into<Bytes>, content_type: &'static str) -> Answer {
    let mut answer = Response::new(Full::new(body.into()).boxed_unsync());
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// 500 for a failure of ours, which is logged.
pub(super) fn internal_error(error: &dyn Error) -> Answer {
    tracing::error!(%error, "admin answer could not be made");
    text(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n")
}

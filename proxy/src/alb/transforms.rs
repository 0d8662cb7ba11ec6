//! The transforms of the rule that matched, applied to a request on its way to
//! a target.
//!
//! ELB page: "Transforms for listener rules". Only a forwarded request is
//! rewritten: a redirect and a fixed response speak of what the client sent. A
//! rewritten host is treated like one that the client sent, so
//! `routing.http.preserve_host_header.enabled` sends it as it is, and otherwise
//! the listener's port is appended or cut off.

use http::HeaderValue;
use pingora::{Error, ErrorType, Result, http::RequestHeader};

use super::{
    context::Transformed,
    error::Cause,
    exchange::Exchange,
    request::{HeaderSettings, Target},
};
use crate::{
    access_log::record::ActionExecuted,
    rules::transforms::{Rewritten, SUCCESS, Transforms},
};

/// Notes what `transforms` make of the request.
///
/// # Errors
///
/// [`Cause::TransformFailed`].
pub fn rewrite(exchange: &mut Exchange<'_>, transforms: &Transforms) -> std::result::Result<(), Cause> {
    let request = exchange.request();
    let host = exchange.context.state.headers.host_of(request);
    let (rewritten, status) = match transforms.apply(host, Target::of(request).origin_form) {
        Ok(rewritten) => (Ok(rewritten), SUCCESS),
        Err(failure) => (Err(Cause::TransformFailed), failure.as_str()),
    };
    let Rewritten { host, uri } = rewritten.as_ref().cloned().unwrap_or_default();
    exchange.context.transformed = Some(Box::new(Transformed { host, uri, status }));
    if rewritten.is_ok() {
        exchange.context.actions.push(ActionExecuted::Rewrite);
    }
    rewritten.map(drop)
}

/// Puts what was rewritten into the head for the target.
///
/// # Errors
///
/// When a field cannot be written, which no rewritten host brings about.
pub fn put(head: &mut RequestHeader, transformed: &Transformed, settings: &HeaderSettings) -> Result<()> {
    if let Some(host) = &transformed.host {
        let value = HeaderValue::from_str(host)
            .map_err(|e| Error::because(ErrorType::InvalidHTTPHeader, "rewritten host", e))?;
        head.insert_header("Host", settings.host.host_for_target(&value).unwrap_or(value))?;
    }
    if let Some(uri) = &transformed.uri {
        head.set_raw_path(uri.as_bytes())?;
    }
    Ok(())
}

//! The two bodies: request to the target, response to the client, at the same time.

use std::{pin::pin, sync::Arc};

use bytes::Bytes;
use http::HeaderValue;
use pingora::{
    Error, ErrorType, Result,
    protocols::http::{server::Session, v1::client::HttpSession},
};
use tokio::time::Instant;

use super::{error::Cause, exchange::Exchange, response, target_stream::Backlog};
use crate::{headers::websocket::RequestKind, target_groups::OutstandingGuard};

/// The target's side of an exchange.
pub struct TargetSide {
    /// The HTTP engine's session.
    pub session: HttpSession,
    /// How far it is behind with sending.
    pub backlog: Arc<Backlog>,
    /// The work it stands for.
    pub guard: OutstandingGuard,
}

/// Whether the client's request body is still being carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadProgress {
    /// Bytes may still come from the client.
    Running,
    /// All of it has been sent to the target.
    Done,
    /// The target takes no more of it. What the client still sends is not read: it must not
    /// be taken for a next request.
    Refused,
}

/// Sends the request body until the target's response head has come.
///
/// # Errors
///
/// What ends the request before there is a response.
pub async fn await_response(
    exchange: &mut Exchange<'_>,
    target: &mut TargetSide,
) -> Result<UploadProgress, Cause> {
    let idle = exchange.idle_timeout();
    let mut upload = begin_upload(exchange).await?;
    let mut cut = pin!(exchange.shared.cut(target.guard.target()));
    let mut deadline = pin!(tokio::time::sleep(idle));
    let mut sent = target.backlog.sent();
    loop {
        tokio::select! {
            biased;
            head = target.session.read_response() => match head {
                Ok(_) if is_interim(&target.session) => {}
                Ok(_) => return Ok(upload),
                Err(error) => return Err(failure(&error)),
            },
            body = next_body(exchange.session, &target.backlog, upload), if upload != UploadProgress::Refused => {
                upload = carry_body(exchange, &mut target.session, body, upload).await?;
            }
            () = &mut deadline => {
                // The target may have been reading all the while, without a word.
                if sent == target.backlog.sent() {
                    let waits_for_client = upload == UploadProgress::Running;
                    return Err(if waits_for_client { Cause::RequestTimeout } else { Cause::TargetTimeout });
                }
            }
            () = &mut cut => return Err(Cause::Deregistered),
        }
        sent = target.backlog.sent();
        deadline.as_mut().reset(Instant::now() + idle);
    }
}

/// An interim response is between the target and us: the client had its 100 already.
fn is_interim(session: &HttpSession) -> bool {
    session.get_status().is_some_and(|status| status.is_informational() && status != 101)
}

/// The next piece of the request body once the target has room for it; after the body, the client's leaving.
async fn next_body(
    session: &mut Session,
    backlog: &Backlog,
    upload: UploadProgress,
) -> Result<Option<Bytes>> {
    if upload == UploadProgress::Running {
        backlog.room().await;
    }
    session.read_body_or_idle(upload == UploadProgress::Done).await
}

/// Answers `Expect: 100-continue` at once, as ELB does for HTTP/1.1; the header is not forwarded.
pub(super) async fn begin_upload(exchange: &mut Exchange<'_>) -> Result<UploadProgress, Cause> {
    if exchange.session.is_body_done() {
        return Ok(UploadProgress::Done);
    }
    let expects_continue = exchange
        .request()
        .headers
        .get(http::header::EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if expects_continue && exchange.request().version == http::Version::HTTP_11 {
        // The engine takes any head that is written before the body for the last one of the connection.
        exchange.session.set_close_on_response_before_downstream_finish(false);
        let answered =
            exchange.within(async |session: &mut Session| session.write_continue_response().await).await;
        exchange.session.set_close_on_response_before_downstream_finish(true);
        answered.map_err(|_| Cause::ClientClosedBody)?;
    }
    Ok(UploadProgress::Running)
}

/// Passes one piece of the request body on, or learns that the client has left.
async fn carry_body(
    exchange: &mut Exchange<'_>,
    target: &mut HttpSession,
    body: Result<Option<Bytes>>,
    upload: UploadProgress,
) -> Result<UploadProgress, Cause> {
    let body = match body {
        Ok(body) => body,
        Err(_) if upload == UploadProgress::Running => return Err(Cause::ClientClosedBody),
        Err(_) => return Err(Cause::ClientClosedRequest),
    };
    // After the last piece nothing more comes, and before the trailers of HTTP/2 a `None` does.
    let has_ended = body.is_none() || exchange.session.is_body_done();
    // An empty piece is framing only: written as a chunk it would end the body.
    if let Some(bytes) = body.filter(|bytes| !bytes.is_empty()) {
        exchange.context.count_stream(bytes.len(), 0);
        if target.write_body(&bytes).await.is_err() {
            // The target may have answered before it refused the rest: its response is read next.
            return Ok(UploadProgress::Refused);
        }
    }
    if !has_ended {
        return Ok(UploadProgress::Running);
    }
    Ok(if target.finish_body().await.is_ok() { UploadProgress::Done } else { UploadProgress::Refused })
}

/// What a failure to read from the target means.
fn failure(error: &Error) -> Cause {
    match error.etype() {
        ErrorType::ConnectionClosed | ErrorType::ReadError => Cause::TargetClosed,
        _ => Cause::BadResponse,
    }
}

/// Sends the response, and what is left of the request body, until the response has ended.
///
/// # Errors
///
/// What ends the response early.
pub async fn relay_response(
    exchange: &mut Exchange<'_>,
    target: &mut TargetSide,
    mut upload: UploadProgress,
    cookies: Vec<HeaderValue>,
) -> Result<UploadProgress, Cause> {
    let idle = exchange.idle_timeout();
    send_head(exchange, &target.session, cookies).await?;
    let mut cut = pin!(exchange.shared.cut(target.guard.target()));
    let mut deadline = pin!(tokio::time::sleep(idle));
    let mut sent = target.backlog.sent();
    loop {
        tokio::select! {
            biased;
            body = target.session.read_body_bytes() => match body {
                Ok(Some(bytes)) => {
                    exchange.context.count_stream(0, bytes.len());
                    let written = exchange.within(async move |session: &mut Session| session.write_response_body(bytes, false).await);
                    written.await.map_err(|_| Cause::ClientClosedRequest)?;
                }
                Ok(None) => {
                    let ended = exchange.within(async |session: &mut Session| session.finish_body().await).await;
                    return ended.map(|()| upload).map_err(|_| Cause::ClientClosedRequest);
                }
                Err(error) => return Err(failure(&error)),
            },
            body = next_body(exchange.session, &target.backlog, upload), if upload != UploadProgress::Refused => {
                upload = carry_body(exchange, &mut target.session, body, upload).await?;
            }
            () = &mut deadline => {
                if sent == target.backlog.sent() {
                    return Err(Cause::TargetTimeout);
                }
            }
            () = &mut cut => return Err(Cause::Deregistered),
        }
        sent = target.backlog.sent();
        deadline.as_mut().reset(Instant::now() + idle);
    }
}

async fn send_head(
    exchange: &mut Exchange<'_>,
    target: &HttpSession,
    cookies: Vec<HeaderValue>,
) -> Result<(), Cause> {
    let received = target.resp_header().ok_or(Cause::BadResponse)?.clone();
    let head = response::response_head(exchange, received, RequestKind::Ordinary, cookies)?;
    // Before HTTP/1.1 a body without a length ends with the connection.
    let is_unframed =
        head.version < http::Version::HTTP_11 && !head.headers.contains_key(http::header::CONTENT_LENGTH);
    if exchange.must_close() || is_unframed {
        exchange.session.set_keepalive(None);
    }
    let sent =
        exchange.within(async move |session: &mut Session| session.write_response_header(head).await).await;
    sent.map_err(|_| Cause::ClientClosedRequest)
}

//! Requests to targets that speak HTTP/2: target groups of protocol version
//! HTTP2 and GRPC.
//!
//! ELB page: "Target groups for your Application Load Balancers", protocol
//! version. Only requests in HTTP/2 come here, so a request is a stream on
//! either side: bodies go both ways at the same time, each held back by the
//! window of who receives it, the response's trailers are passed on, and a
//! reset of one stream resets the other. Trailers of requests are not passed
//! on, since the HTTP engine does not show them.

mod activity;
mod upload;

use std::{future::poll_fn, pin::pin, sync::atomic::Ordering, task::Poll};

use bytes::Bytes;
use h2::{RecvStream, SendStream, client::ResponseFuture};
use http::{
    HeaderValue, Request, Uri, Version, header,
    uri::{Authority, PathAndQuery, Scheme},
};
use pingora::{
    http::{RequestHeader, ResponseHeader},
    protocols::http::server::Session,
};
use tokio::time::Instant;

use self::{
    activity::Activity,
    upload::{Upload, send},
};
use super::{
    connect,
    error::Cause,
    exchange::{Exchange, head_size},
    fault, response,
    state::GroupState,
};
use crate::{
    fault::Throttle,
    headers::websocket::RequestKind,
    model::target_group::ProtocolVersion,
    target_groups::{OutstandingGuard, http2_pool::Http2Stream},
};

/// A request that the target has begun to answer.
pub struct Answered {
    /// The response's head.
    pub head: ResponseHeader,
    body: RecvStream,
    upload: Upload,
    /// Its place on the connection.
    place: Http2Stream,
    throttle: Option<Box<Throttle>>,
}

/// Sends a request and its body until the response's head has come.
///
/// # Errors
///
/// What ends the request before there is a response.
pub async fn request(
    exchange: &mut Exchange<'_>,
    group: &GroupState,
    guard: &OutstandingGuard,
    head: &RequestHeader,
) -> Result<Answered, Cause> {
    let request = for_target(head, group.tls.is_some())?;
    let mut place = connect::http2(exchange, group, guard).await?;
    let has_body = !exchange.session.is_body_done();
    let sent = place.sender.send_request(request, !has_body);
    let (mut response, target) = sent.map_err(|error| failure(&error))?;
    exchange.context.dispatch(Instant::now());
    let mut upload = Upload::new(target, has_body);
    let answered = await_head(exchange, group, guard, &mut upload, &mut response).await;
    note(exchange, &place, answered.as_ref().err());
    let (parts, body) = answered?.into_parts();
    Ok(Answered { head: parts.into(), body, upload, place, throttle: fault::throttle(group) })
}

/// Notes what the end of a wait says about the connection.
fn note(exchange: &Exchange<'_>, place: &Http2Stream, ended: Option<&Cause>) {
    match ended {
        None => place.note_received(Instant::now()),
        Some(Cause::TargetTimeout) => place.retire_if_silent(exchange.idle_timeout(), Instant::now()),
        Some(_) => {}
    }
}

async fn await_head(
    exchange: &mut Exchange<'_>,
    group: &GroupState,
    guard: &OutstandingGuard,
    upload: &mut Upload,
    response: &mut ResponseFuture,
) -> Result<http::Response<RecvStream>, Cause> {
    let limit = exchange.idle_timeout();
    let Session::H2(session) = &mut *exchange.session else {
        return Err(Cause::ProtocolMismatch);
    };
    let activity = Activity::new();
    let ended = tokio::select! {
        biased;
        head = response => head.map_err(|error| failure(&error)),
        left = upload.run_and_watch(session, &activity) => Err(left),
        () = activity.idle(limit) => Err(Cause::TargetTimeout),
        () = exchange.shared.cut(guard.target()) => Err(Cause::Deregistered),
    };
    activity.count(&mut exchange.context);
    // A gRPC call may keep its request open for as long as it lasts: silence is the target's.
    let is_call = group.protocol_version == ProtocolVersion::Grpc;
    match ended {
        Err(Cause::TargetTimeout) if upload.waits_for_client() && !is_call => Err(Cause::RequestTimeout),
        other => other,
    }
}

/// Sends the response, and what is left of the request body, until the response has ended.
///
/// # Errors
///
/// What ends the response early.
pub async fn respond(
    exchange: &mut Exchange<'_>,
    guard: &OutstandingGuard,
    answered: Answered,
    cookies: Vec<HeaderValue>,
) -> Result<(), Cause> {
    let limit = exchange.idle_timeout();
    let Answered { head, mut body, mut upload, place, throttle } = answered;
    let head = response::response_head(exchange, head, RequestKind::Ordinary, cookies)?;
    let Session::H2(session) = &mut *exchange.session else {
        return Err(Cause::ProtocolMismatch);
    };
    // A gRPC client takes a head with a status for the whole answer only if it ends the stream.
    let is_whole = body.is_end_stream();
    session.write_response_header(head, is_whole).map_err(|_| Cause::ClientClosedRequest)?;
    if is_whole {
        return Ok(());
    }
    let mut client = session.take_response_body_writer().ok_or(Cause::ClientClosedRequest)?;
    let activity = Activity::new();
    let ended = {
        let mut download = pin!(download(&mut body, &mut client, &activity, &place, throttle));
        let mut uploading = pin!(upload.run(session, &activity));
        let mut idle = pin!(activity.idle(limit));
        let mut cut = pin!(exchange.shared.cut(guard.target()));
        let mut has_uploaded = false;
        loop {
            tokio::select! {
                biased;
                ended = &mut download => break ended,
                uploaded = &mut uploading, if !has_uploaded => match uploaded {
                    Ok(()) => has_uploaded = true,
                    Err(cause) => break Err(cause),
                },
                () = &mut idle => break Err(Cause::TargetTimeout),
                () = &mut cut => break Err(Cause::Deregistered),
            }
        }
    };
    activity.count(&mut exchange.context);
    note(exchange, &place, ended.as_ref().err());
    ended
}

/// Carries the response's body and trailers to the client.
async fn download(
    target: &mut RecvStream,
    client: &mut SendStream<Bytes>,
    activity: &Activity,
    place: &Http2Stream,
    mut throttle: Option<Box<Throttle>>,
) -> Result<(), Cause> {
    loop {
        let data = poll_fn(|cx| match client.poll_reset(cx) {
            Poll::Ready(_) => Poll::Ready(Err(Cause::ClientClosedRequest)),
            Poll::Pending => target.poll_data(cx).map(Ok),
        });
        match data.await? {
            Some(Ok(mut bytes)) => {
                place.note_received(Instant::now());
                let length = bytes.len();
                let is_last = target.is_end_stream();
                if let Some(throttle) = &mut throttle {
                    send_slowly(client, &mut bytes, activity, throttle).await?;
                }
                let sent = send(client, &mut bytes, is_last, activity).await;
                sent.map_err(|()| Cause::ClientClosedRequest)?;
                activity.sent.fetch_add(length, Ordering::Relaxed);
                if is_last {
                    return Ok(());
                }
                // The window opens again as the client takes what came: an error means a stream that ended.
                drop(target.flow_control().release_capacity(length));
            }
            Some(Err(error)) => return Err(pass_on(&error, client)),
            None => break,
        }
    }
    let trailers = target.trailers().await.map_err(|error| pass_on(&error, client))?;
    let sent = match trailers {
        Some(trailers) => {
            activity.sent.fetch_add(head_size(&trailers), Ordering::Relaxed);
            client.send_trailers(trailers)
        }
        None => client.send_data(Bytes::new(), true),
    };
    sent.map_err(|_| Cause::ClientClosedRequest)
}

/// Sends all but the last piece of `bytes`, which waits its turn too, at the pace of `throttle`.
async fn send_slowly(
    client: &mut SendStream<Bytes>,
    bytes: &mut Bytes,
    activity: &Activity,
    throttle: &mut Throttle,
) -> Result<(), Cause> {
    loop {
        throttle.due().await;
        let length = bytes.len().min(throttle.piece());
        throttle.note(length);
        if length == bytes.len() {
            return Ok(());
        }
        let sent = send(client, &mut bytes.split_to(length), false, activity).await;
        sent.map_err(|()| Cause::ClientClosedRequest)?;
    }
}

/// Resets the client's stream for the reason that the target gave.
fn pass_on(error: &h2::Error, client: &mut SendStream<Bytes>) -> Cause {
    if let Some(reason) = error.reason().filter(|_| error.is_reset() && error.is_remote()) {
        client.send_reset(reason);
    }
    failure(error)
}

/// The request in HTTP/2: Host becomes `:authority`, and nothing frames the body.
fn for_target(head: &RequestHeader, is_tls: bool) -> Result<Request<()>, Cause> {
    let host = head.headers.get(header::HOST).map(HeaderValue::as_bytes).unwrap_or_default();
    let authority = Authority::try_from(host).map_err(|_| Cause::BadRequest)?;
    let path = PathAndQuery::try_from(head.raw_path()).map_err(|_| Cause::BadRequest)?;
    let scheme = if is_tls { Scheme::HTTPS } else { Scheme::HTTP };
    let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path);
    let mut request = Request::new(());
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = uri.build().map_err(|_| Cause::BadRequest)?;
    *request.version_mut() = Version::HTTP_2;
    request.headers_mut().reserve(head.headers.len());
    for (name, value) in &head.headers {
        if ![header::HOST, header::TRANSFER_ENCODING, header::CONNECTION, header::UPGRADE].contains(name) {
            request.headers_mut().append(name.clone(), value.clone());
        }
    }
    Ok(request)
}

/// What a failure of the stream to the target means.
#[must_use]
pub fn failure(error: &h2::Error) -> Cause {
    if error.is_io() || error.is_remote() { Cause::TargetClosed } else { Cause::BadResponse }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[(&'static str, &str)]) -> RequestHeader {
        let mut head = RequestHeader::build("POST", b"/pkg.Service/Method?x=1", None).unwrap();
        for (name, value) in fields {
            head.append_header(*name, *value).unwrap();
        }
        head
    }

    #[test]
    fn host_becomes_the_authority_and_framing_goes() {
        let fields =
            [("Host", "a.test:8443"), ("Transfer-Encoding", "chunked"), ("te", "trailers"), ("X-A", "1")];
        let request = for_target(&head(&fields), true).unwrap();
        assert_eq!(request.uri().to_string(), "https://a.test:8443/pkg.Service/Method?x=1");
        let names: Vec<&str> = request.headers().keys().map(header::HeaderName::as_str).collect();
        assert_eq!(names, ["te", "x-a"]);
        let plain = for_target(&head(&[("Host", "h")]), false).unwrap();
        assert_eq!(plain.uri().scheme(), Some(&Scheme::HTTP));
    }

    #[test]
    fn a_host_that_is_no_authority_is_refused() {
        assert_eq!(for_target(&head(&[]), true).unwrap_err(), Cause::BadRequest);
        assert_eq!(for_target(&head(&[("Host", "a b")]), true).unwrap_err(), Cause::BadRequest);
    }
}

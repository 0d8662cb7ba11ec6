//! HTTP/1.x connections: one request after the other.

use std::{pin::pin, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::BytesMut;
use http::header;
use pingora::{
    Error, ErrorType,
    http::RequestHeader,
    protocols::{
        Stream,
        http::{date::get_cached_date, server::Session, v1::server::HttpSession},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    context::Context,
    elb_response::ElbResponse,
    error::Cause,
    exchange::{Exchange, Outcome},
    request::{self, Target},
    state::{ListenerState, Shared},
};
use crate::client::{ClientStream, Connection, Mark, Meter};

/// How long the answer to an unreadable request may take to be written, and how long a client may go on
/// sending what nobody reads. Not scaled.
const FAREWELL: Duration = Duration::from_secs(1);
/// Bytes that are read and thrown away at most before a connection is closed.
const LINGER_BYTES: usize = 1 << 20;

/// Serves requests until the connection closes or becomes a WebSocket.
pub async fn serve(
    shared: Arc<Shared>,
    listener: Arc<ArcSwap<ListenerState>>,
    connection: Arc<Connection>,
    stream: ClientStream,
) {
    let mut stream: Stream = Box::new(stream);
    let mut read_ahead: Option<BytesMut> = None;
    let mut is_first = true;
    loop {
        let state = listener.load_full();
        let mark = connection.meter.begin_head(read_ahead.as_ref().map_or(0, BytesMut::len));
        let began = Instant::now();
        let has_read_ahead = read_ahead.is_some();
        let mut session = HttpSession::new(stream);
        session.set_pipelining_enabled(true);
        if let Some(bytes) = read_ahead.take() {
            session.set_pipelined_prefix(bytes);
        }
        let idle = state.load_balancer.timers.idle;
        let head = read_head(&mut session, &connection.meter, idle, &shared.draining).await;
        connection.meter.end_head();
        let created = connection.meter.first_byte().unwrap_or(began);
        // What was loaded before the wait may have been replaced during it.
        let context = Context::new(listener.load_full(), Arc::clone(&connection), created, mark);
        match head {
            Head::Complete => {}
            Head::Closed if !has_bytes(&connection.meter, mark, has_read_ahead) => return,
            // An idle keep-alive connection is closed; one that never asked is told why.
            Head::TimedOut if !is_first && !has_bytes(&connection.meter, mark, has_read_ahead) => return,
            Head::Closed => return refuse(context, session, Cause::ClientClosedBody).await,
            Head::TimedOut => return refuse(context, session, Cause::RequestTimeout).await,
            Head::Malformed => {
                let cause = cause_of(&session);
                return refuse(context, session, cause).await;
            }
        }
        is_first = false;
        let mut session = Session::H1(session);
        let outcome = Exchange { shared: &shared, session: &mut session, context }.run().await;
        match outcome {
            Outcome::Upgraded(upgrade) => return upgrade.spawn(&shared, session).await,
            Outcome::Aborted => return,
            Outcome::Done => {}
        }
        if !session.is_body_done() {
            return close(session, idle).await;
        }
        let finished = tokio::time::timeout(idle, session.finish()).await;
        let Ok(Ok(Some(reusable))) = finished else {
            return;
        };
        (stream, read_ahead) = reusable.into_parts();
    }
}

/// How the wait for a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    /// The head is there.
    Complete,
    /// The client closed the connection, or shutdown did.
    Closed,
    /// The idle timeout passed.
    TimedOut,
    /// What came is no HTTP.
    Malformed,
}

/// Waits for a request head.
///
/// The idle timeout runs from the last request until the first byte, and from
/// there until the head is complete: a client that sends it drop by drop gains
/// nothing.
async fn read_head(
    session: &mut HttpSession,
    meter: &Meter,
    idle: Duration,
    draining: &CancellationToken,
) -> Head {
    session.set_read_timeout(None);
    let mut read = pin!(session.read_request());
    let mut deadline = pin!(tokio::time::sleep(idle));
    let mut begun = false;
    loop {
        tokio::select! {
            biased;
            read = &mut read => return match read {
                Ok(Some(_)) => Head::Complete,
                Ok(None) => Head::Closed,
                Err(error) => failed(&error),
            },
            () = &mut deadline => match meter.first_byte() {
                Some(first) if !begun => {
                    begun = true;
                    deadline.as_mut().reset(first + idle);
                }
                _ => return Head::TimedOut,
            },
            () = draining.cancelled(), if !begun => match meter.first_byte() {
                Some(first) => {
                    begun = true;
                    deadline.as_mut().reset(first + idle);
                }
                None => return Head::Closed,
            },
        }
    }
}

fn failed(error: &Error) -> Head {
    tracing::debug!(%error, "request head refused");
    match error.etype() {
        ErrorType::ConnectionClosed => Head::Closed,
        // The stream itself refuses a head that is longer than any may be.
        ErrorType::ReadError if !is_too_long(error) => Head::Closed,
        _ => Head::Malformed,
    }
}

fn is_too_long(error: &Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(error) = source {
        if error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::InvalidData)
        {
            return true;
        }
        source = error.source();
    }
    false
}

/// Why the HTTP engine refused a head: one that could be read says so itself.
fn cause_of(session: &HttpSession) -> Cause {
    let Some(request) = readable(session) else {
        return Cause::BadRequest;
    };
    request::check(request, Target::of(request)).err().unwrap_or(Cause::BadRequest)
}

/// The head, if it was refused for what it says and not for how it is written.
fn readable(session: &HttpSession) -> Option<&RequestHeader> {
    let is_parsed = [header::HOST, header::TRANSFER_ENCODING, header::CONTENT_LENGTH]
        .iter()
        .any(|name| session.get_header(name).is_some());
    is_parsed.then(|| session.req_header())
}

fn has_bytes(meter: &Meter, mark: Mark, has_read_ahead: bool) -> bool {
    has_read_ahead || meter.received_since(mark) > 0
}

/// Ends a connection whose client may still be sending a body that nobody wants.
async fn close(session: Session, idle: Duration) {
    let Session::H1(mut session) = session else {
        return;
    };
    if let Ok(Ok(_)) = tokio::time::timeout(idle, session.finish_body()).await {
        linger(&mut session.into_inner()).await;
    }
}

/// Ends our side and reads on for a moment: closing a socket with unread bytes would send a RST, which
/// takes the response away from the client before it has read it.
async fn linger(stream: &mut Stream) {
    let lingering = async {
        AsyncWriteExt::shutdown(stream).await?;
        let mut discarded = 0;
        let mut buffer = [0; 4096];
        while discarded < LINGER_BYTES {
            match stream.read(&mut buffer).await? {
                0 => break,
                n => discarded += n,
            }
        }
        std::io::Result::Ok(())
    };
    // The client may be gone or never end: either way the connection is closed now.
    drop(tokio::time::timeout(FAREWELL, lingering).await);
}

/// Answers a request that could not be read, logs it and closes.
async fn refuse(mut context: Context, session: HttpSession, cause: Cause) {
    context.fail(cause, Instant::now());
    if cause.is_answered()
        && let Ok(response) = ElbResponse::error(cause)
    {
        let date = get_cached_date();
        let bytes = response.into_closing_bytes(date.to_str().unwrap_or_default());
        let request = readable(&session).map(|request| Box::new(request.clone()));
        let mut stream = session.into_inner();
        let answered = async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        };
        // The client may be gone or not read: its loss.
        let answered = tokio::time::timeout(FAREWELL, answered).await;
        context.finish(request.as_deref(), Instant::now());
        if let Ok(Ok(())) = answered {
            linger(&mut stream).await;
        }
        return;
    }
    context.finish(None, Instant::now());
}

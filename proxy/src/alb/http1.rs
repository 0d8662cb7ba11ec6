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

use super::{
    context::Context,
    elb_response::ElbResponse,
    error::Cause,
    exchange::{Exchange, Outcome},
    request::{self, Target},
    state::{ListenerState, Shared},
};
use crate::client::{ClientStream, Connection, Mark, Meter, connection::last_moment};

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
        let waiting = Waiting { connection: &connection, shared: &shared, idle, is_first };
        let head = waiting.read_head(&mut session).await;
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
            Head::Malformed(cause) => {
                let cause = refusal(&session).unwrap_or(cause);
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
    /// What came is no HTTP that can be served.
    Malformed(Cause),
}

/// The wait for a request.
struct Waiting<'a> {
    connection: &'a Connection,
    shared: &'a Shared,
    idle: Duration,
    is_first: bool,
}

impl Waiting<'_> {
    /// Waits for a request head.
    ///
    /// The idle timeout runs from the last request until the first byte, and from
    /// there until the head is complete: a client that sends it drop by drop gains
    /// nothing.
    async fn read_head(&self, session: &mut HttpSession) -> Head {
        session.set_read_timeout(None);
        let mut read = pin!(session.read_request());
        let mut deadline = pin!(tokio::time::sleep(self.idle));
        let mut closing = pin!(self.closing());
        let mut begun = false;
        loop {
            let unexpected = tokio::select! {
                biased;
                read = &mut read => return match read {
                    Ok(Some(_)) => Head::Complete,
                    Ok(None) => Head::Closed,
                    Err(error) => failed(&error),
                },
                () = &mut deadline => Head::TimedOut,
                () = &mut closing, if !begun => Head::Closed,
                () = self.shared.terminated.cancelled() => return Head::Closed,
            };
            match self.connection.meter.first_byte() {
                Some(first) if !begun => {
                    begun = true;
                    deadline.as_mut().reset(first + self.idle);
                }
                _ => return unexpected,
            }
        }
    }

    /// Completes when an idle connection is to be closed because its listener goes.
    async fn closing(&self) {
        if self.is_first {
            last_moment(&self.connection.closing).await;
        } else {
            self.connection.closing.cancelled().await;
        }
    }
}

fn failed(error: &Error) -> Head {
    tracing::debug!(%error, "request head refused");
    match error.etype() {
        ErrorType::ConnectionClosed => Head::Closed,
        // The stream itself refuses a head that is longer than any may be.
        ErrorType::ReadError if !is_too_long(error) => Head::Closed,
        _ if is_version_refused(error) => Head::Malformed(Cause::VersionNotSupported),
        _ => Head::Malformed(Cause::BadRequest),
    }
}

fn is_too_long(error: &Error) -> bool {
    sources(error)
        .filter_map(|source| source.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == std::io::ErrorKind::InvalidData)
}

fn is_version_refused(error: &Error) -> bool {
    sources(error).any(|source| source.downcast_ref() == Some(&httparse::Error::Version))
}

/// The engine's errors do not show what caused them by [`std::error::Error::source`].
fn sources(error: &Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    let cause: &(dyn std::error::Error + 'static) = error.root_cause();
    std::iter::successors(Some(cause), |error| error.source())
}

/// What our own checks say about a head that the HTTP engine could read but refused.
fn refusal(session: &HttpSession) -> Option<Cause> {
    let request = readable(session)?;
    request::check(request, Target::of(request)).err()
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

//! HTTP/1.x connections: one request after the other.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::BytesMut;
use pingora::protocols::{
    Stream,
    http::{date::get_cached_date, server::Session},
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
    http1_head::{self, Head, Refused, Waiting},
    state::{ListenerState, Shared},
};
use crate::client::{ClientStream, Connection};

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
    let mut stream = Box::new(stream);
    let mut read_ahead: Option<BytesMut> = None;
    let mut is_first = true;
    loop {
        let state = listener.load_full();
        let mut bytes = read_ahead.take().unwrap_or_else(http1_head::empty_buffer);
        let mark = connection.meter.begin_head(bytes.len());
        let began = Instant::now();
        let idle = state.load_balancer.timers.idle;
        let waiting = Waiting { connection: &connection, shared: &shared, idle, is_first };
        let head = waiting.read_head(&mut stream, &mut bytes).await;
        connection.meter.end_head();
        let created = connection.meter.first_byte().unwrap_or(began);
        // What was loaded before the wait may have been replaced during it.
        let mut context = Context::new(listener.load_full(), Arc::clone(&connection), created, mark);
        let end = match head {
            Head::Complete(end) => end,
            Head::Closed if bytes.is_empty() => return,
            // An idle keep-alive connection is closed; one that never asked is told why.
            Head::TimedOut if !is_first && bytes.is_empty() => return,
            Head::Closed => return refuse(context, Refused::unread(stream, Cause::ClientClosedBody)).await,
            Head::TimedOut => return refuse(context, Refused::unread(stream, Cause::RequestTimeout)).await,
            Head::Malformed => return refuse(context, Refused::unread(stream, Cause::BadRequest)).await,
        };
        is_first = false;
        let session = match http1_head::open(&mut context, stream, bytes, end).await {
            Ok(session) => session,
            Err(refused) => return refuse(context, refused).await,
        };
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
        let (reused, rest) = reusable.into_parts();
        let Ok(reused) = reused.into_any().downcast() else {
            return;
        };
        (stream, read_ahead) = (reused, rest);
    }
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
async fn refuse(mut context: Context, refused: Refused) {
    let Refused { mut stream, request, cause } = refused;
    context.fail(cause, Instant::now());
    if cause.is_answered()
        && let Ok(response) = ElbResponse::error(cause)
    {
        let date = get_cached_date();
        let response = context.state.response_headers.applied(response);
        let bytes = response.into_closing_bytes(date.to_str().unwrap_or_default());
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

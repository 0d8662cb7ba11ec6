//! HTTP/2 connections: many requests side by side.
//!
//! ELB page: "Listeners for your Application Load Balancers", HTTP/2: 128
//! streams at a time, GOAWAY after 10,000 requests and with the first request
//! after the client keep-alive duration. PING is no activity.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use pingora::{
    Error,
    protocols::{
        Digest, Stream,
        http::{
            server::Session,
            v2::server::{self, H2Accept, HttpSession},
        },
    },
};
use tokio::time::Instant;

use super::{
    context::Context,
    error::Cause,
    exchange::{Exchange, Outcome},
    inspect,
    state::{ListenerState, Shared},
};
use crate::client::{ClientStream, Connection, closing::last_moment};

/// Streams a client may have open at a time.
const MAX_CONCURRENT_STREAMS: u32 = 128;
/// Bytes of responses that are kept at most for each stream of a client that does not read (128 KiB).
const MAX_SEND_BUFFER: usize = 128 * 1024;
/// Bytes of a head that are taken (128 KiB): more than the limits allow, so that a head a little too long
/// is answered with its own status.
const MAX_HEAD: u32 = 128 * 1024;
/// Memory that small pieces of bodies may take beside their bytes (4 MiB): as much as a window full of the
/// smallest gRPC messages does, each in a frame of its own, while their target does not read.
const DATA_FRAME_BUDGET: usize = 4 << 20;
/// Requests after which a connection is told to go away.
const MAX_REQUESTS: usize = 10_000;
/// Requests in the works after which further streams are refused. Streams that their client has given up may
/// count for a while longer, which is why these are more than [`MAX_CONCURRENT_STREAMS`].
const MAX_ACTIVE: usize = 2 * MAX_CONCURRENT_STREAMS as usize;
/// Streams after GOAWAY that are answered: as many as can have been on their way.
const MAX_CAUGHT: usize = MAX_CONCURRENT_STREAMS as usize;
/// Malformed streams after which a connection is given up.
const MAX_MALFORMED: usize = 32;

/// Serves streams until the connection closes.
pub async fn serve(
    shared: Arc<Shared>,
    listener: Arc<ArcSwap<ListenerState>>,
    connection: Arc<Connection>,
    stream: ClientStream,
) {
    let mut options = server::default_h2_options();
    options.max_concurrent_streams(MAX_CONCURRENT_STREAMS);
    options.max_send_buffer_size(MAX_SEND_BUFFER);
    options.max_header_list_size(MAX_HEAD);
    options.data_frame_budget(DATA_FRAME_BUDGET);
    let idle = listener.load().load_balancer.timers.idle;
    let stream: Stream = Box::new(stream.write_through());
    let greeting = tokio::time::timeout(idle, server::handshake(stream, Some(options)));
    let greeting = tokio::select! {
        biased;
        greeting = greeting => greeting,
        () = last_moment(&connection.closing) => return,
    };
    let Ok(Ok(mut h2)) = greeting else {
        // A browser that opened a connection in advance and never used it has asked for nothing.
        if connection.meter.received() > 0 {
            refused(&listener, &connection);
        }
        return;
    };
    let digest = Arc::new(Digest::default());
    let active = Arc::new(Active::default());
    let mut requests = 0;
    let mut malformed = 0;
    let mut caught = 0;
    let mut leaving: Option<Instant> = None;
    loop {
        let idle = listener.load().load_balancer.timers.idle;
        tokio::select! {
            biased;
            // First, so that the stream that asked for it is not reset by itself.
            () = connection.meter.reset.asked() => return,
            accepted = HttpSession::from_h2_conn(&mut h2, Arc::clone(&digest)) => match accepted {
                Ok(Some(H2Accept::Session(session))) => {
                    let context = context(&listener, &connection);
                    if requests >= MAX_REQUESTS {
                        caught_by_goaway(session, context);
                        caught += 1;
                        if caught > MAX_CAUGHT {
                            return;
                        }
                        continue;
                    }
                    if active.count() >= MAX_ACTIVE {
                        refuse(session);
                        continue;
                    }
                    requests += 1;
                    shared.tracker.spawn(run(Arc::clone(&shared), session, context, active.enter()));
                }
                Ok(Some(H2Accept::Rejected)) => {
                    malformed += 1;
                    refused(&listener, &connection);
                }
                Ok(None) => return,
                Err(error) => return broken(&connection, &error),
            },
            () = connection.closing.cancelled(), if leaving.is_none() => {
                leaving = Some(Instant::now());
                h2.graceful_shutdown();
            }
            () = idle_for(&active, idle, leaving) => return,
            () = shared.terminated.cancelled() => return,
        }
        if malformed >= MAX_MALFORMED {
            return;
        }
        // What came now is served; nothing else is once the client has heard of it.
        let is_over = requests >= MAX_REQUESTS || Instant::now() >= connection.expires;
        if is_over && leaving.is_none() {
            leaving = Some(Instant::now());
            h2.graceful_shutdown();
        }
    }
}

/// Refuses a request that was on its way when the connection was told to go away: it has not been
/// processed, so the client may send it again (RFC 9113 section 6.8).
fn caught_by_goaway(session: HttpSession, mut context: Context) {
    context.elb_status = Some(0);
    context.finish(Some(session.req_header()), Instant::now());
    refuse(session);
}

/// Resets a stream that was not processed.
fn refuse(mut session: HttpSession) {
    session.shutdown_with_reason(h2::Reason::REFUSED_STREAM);
}

/// Logs a stream, or a connection, that was refused before it was a request.
fn refused(listener: &ArcSwap<ListenerState>, connection: &Arc<Connection>) {
    let mut context = context(listener, connection);
    let now = Instant::now();
    context.fail(Cause::BadRequest, now);
    context.finish(None, now);
}

/// One line about a connection whose frames break HTTP/2; one that was just lost is not worth it.
fn broken(connection: &Connection, error: &Error) {
    let lost = error.root_cause().downcast_ref::<h2::Error>().is_some_and(h2::Error::is_io);
    if !lost {
        tracing::info!(client = %connection.client, %error, "HTTP/2 connection refused");
    }
}

fn context(listener: &ArcSwap<ListenerState>, connection: &Arc<Connection>) -> Context {
    let mark = connection.meter.mark(0);
    Context::new(listener.load_full(), Arc::clone(connection), Instant::now(), mark).with_stream_bytes()
}

async fn run(shared: Arc<Shared>, mut session: HttpSession, mut context: Context, _active: ActiveStream) {
    inspect::http2(&mut context, session.req_header_mut());
    let mut session = Session::H2(session);
    let outcome = Exchange { shared: &shared, session: &mut session, context }.run().await;
    match outcome {
        // The stream's end is sent by the connection; nothing is reused.
        Outcome::Done => drop(session.finish().await),
        // An HTTP/2 stream is never upgraded. Dropping the session resets the stream.
        Outcome::Aborted | Outcome::Upgraded(_) => {}
    }
}

/// Streams in progress on one connection.
#[derive(Debug, Default)]
struct Active {
    streams: AtomicUsize,
    idle: tokio::sync::Notify,
}

#[derive(Debug)]
struct ActiveStream(Arc<Active>);

impl Active {
    fn count(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }

    fn enter(self: &Arc<Self>) -> ActiveStream {
        self.streams.fetch_add(1, Ordering::Relaxed);
        ActiveStream(Arc::clone(self))
    }
}

impl Drop for ActiveStream {
    fn drop(&mut self) {
        if self.0.streams.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.idle.notify_one();
        }
    }
}

/// Completes once no stream was in progress for the idle timeout; on a connection that was told to go away
/// once none is and the idle timeout has passed since then, whatever still comes.
async fn idle_for(active: &Active, idle: Duration, leaving: Option<Instant>) {
    while active.count() > 0 {
        active.idle.notified().await;
    }
    tokio::time::sleep_until(leaving.unwrap_or_else(Instant::now) + idle).await;
}

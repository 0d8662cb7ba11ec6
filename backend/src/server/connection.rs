//! One HTTP connection: hyper over a [`TimedIo`], and the end of a response.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::auth::Hop;
use crate::endpoint::Services;
use crate::metrics::{Active, RequestTimer};
use crate::tls::Tls;
use crate::transport::Transport;

use super::body::Reply;
use super::opening::{self, Opening};
use super::routes::{self, Exchange};
use super::timed_io::{Clock, TimedIo};
use super::upgrade::Upgrade;

/// A TCP connection that has just been accepted.
#[derive(Debug)]
pub(super) struct Accepted {
    /// Counts from 1 in this process.
    pub(super) id: u64,
    /// The ends of the TCP connection.
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    /// With what TLS is accepted.
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) active: Active,
    pub(super) permit: OwnedSemaphorePermit,
}

/// One connection that speaks HTTP. A WebSocket keeps it after HTTP is done
/// with it.
#[derive(Debug)]
pub(super) struct Connection {
    /// Counts from 1 in this process.
    pub(super) id: u64,
    /// The ends of the TCP connection.
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    /// Who connected to what, which a PROXY protocol header says better than
    /// the TCP connection.
    pub(super) hop: Hop,
    pub(super) opening: Opening,
    /// Requests so far.
    pub(super) requests: AtomicU64,
    _active: Active,
    _permit: OwnedSemaphorePermit,
}

/// Opens a connection and serves it until it closes or becomes a WebSocket.
pub(super) async fn run(stream: TcpStream, accepted: Accepted, services: Arc<Services>, tasks: TaskTracker) {
    let Accepted { id, peer, local, tls, active, permit } = accepted;
    let opened = tokio::select! {
        opened = opening::open(stream, peer, &services, tls) => opened,
        // Nothing was asked for yet.
        () = services.lifecycle.ending().cancelled() => None,
    };
    let Some((transport, opening)) = opened else { return };
    let connection = Connection {
        id,
        peer,
        local,
        hop: opening.hop(peer, local),
        opening,
        requests: AtomicU64::new(0),
        _active: active,
        _permit: permit,
    };
    serve(transport, Arc::new(connection), services, tasks).await;
}

/// Serves a connection until it closes or becomes a WebSocket.
async fn serve(
    transport: Transport,
    connection: Arc<Connection>,
    services: Arc<Services>,
    tasks: TaskTracker,
) {
    let tomcat = &services.config.server.tomcat;
    let clock = Arc::new(Clock::new(Instant::now(), tomcat.connection_timeout, tomcat.keep_alive_timeout));
    let io = TokioIo::new(TimedIo::new(transport, Arc::clone(&clock)));
    let remote = connection.hop.peer;
    let lifecycle = services.lifecycle.clone();
    let metrics = services.metrics.http_requests.clone();
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).max_header_size(services.config.server.header_limit());
    let service = service_fn(move |request| {
        let started = Started {
            at: Instant::now(),
            ambiguous: clock.request_started(),
            connection: Arc::clone(&connection),
            services: Arc::clone(&services),
            tasks: tasks.clone(),
        };
        let clock = Arc::clone(&clock);
        async move { Ok::<_, Infallible>(respond(request, started, clock).await) }
    });
    let serving = builder.serve_connection(io, service).with_upgrades();
    tokio::pin!(serving);
    let result = tokio::select! {
        result = serving.as_mut() => result,
        () = lifecycle.ending().cancelled() => {
            serving.as_mut().graceful_shutdown();
            tokio::select! {
                result = serving.as_mut() => result,
                () = lifecycle.aborting().cancelled() => return,
            }
        }
    };
    if let Err(error) = result {
        // Answered by the HTTP library before a request came to us.
        if error.is_parse() {
            let status = if error.is_parse_too_large() {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            } else {
                StatusCode::BAD_REQUEST
            };
            metrics.with_label_values(&[status.as_str()]).inc();
            log_malformed(remote, status);
        }
        tracing::debug!(%remote, error = &error as &dyn std::error::Error, "connection ended");
    }
}

/// The one line for a request that is broken, or larger or slower than it may
/// be.
fn log_malformed(remote: SocketAddr, status: StatusCode) {
    tracing::info!(%remote, status = status.as_u16(), "malformed request");
}

/// A request that has just begun.
struct Started {
    at: Instant,
    ambiguous: bool,
    connection: Arc<Connection>,
    services: Arc<Services>,
    tasks: TaskTracker,
}

async fn respond(request: Request<Incoming>, started: Started, clock: Arc<Clock>) -> Response<Tracked> {
    let Started { at, ambiguous, connection, services, tasks } = started;
    let requests = connection.requests.fetch_add(1, Ordering::Relaxed) + 1;
    let upgrade = Upgrade { connection: Arc::clone(&connection), tasks };
    let exchange = Exchange { connection: &connection, requests, ambiguous, upgrade };
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let mut response = routes::respond(request, exchange, &services).await;
    let status = response.status();
    let uri = routes::template(uri.path(), status, &services.config);
    let timer = services.metrics.http.request(at, &method, status, &uri);
    services.metrics.http_requests.with_label_values(&[status.as_str()]).inc();
    if matches!(status, StatusCode::BAD_REQUEST | StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE)
    {
        log_malformed(connection.hop.peer, status);
    }
    let is_last = services.config.server.tomcat.is_last_request(requests);
    if (is_last || services.lifecycle.draining().is_cancelled()) && status != StatusCode::SWITCHING_PROTOCOLS
    {
        // The balancer learns it from an answer, not from a reset.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response.map(|body| Tracked { body, clock, _timer: timer })
}

/// A response body that starts the idle time of its connection when it ends.
#[derive(Debug)]
pub(super) struct Tracked {
    body: Reply,
    clock: Arc<Clock>,
    _timer: RequestTimer,
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.clock.request_finished(Instant::now());
    }
}

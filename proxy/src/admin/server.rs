//! The admin API's socket.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{AdminState, access::Caller, dashboard};

/// Connections served at once; others wait in the listen queue.
const MAX_CONNECTIONS: usize = 64;

/// How long a client may take for a request's head, and an idle connection may last: 10 s. Not scaled.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a response that is being written at shutdown may take: 1 s. Not scaled.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(1);

/// Largest request head: 16 KiB.
const MAX_HEAD: usize = 16 * 1024;

/// Pause after an accept that failed for want of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the admin API until `shutdown`, and then ends the requests it has.
///
/// # Cancel safety
/// Dropping the future stops accepting; open connections, tracked by `tracker`, go on until `shutdown`.
pub async fn serve(
    listener: TcpListener,
    state: AdminState,
    tracker: TaskTracker,
    shutdown: CancellationToken,
) {
    let bind = match listener.local_addr() {
        Ok(bind) => bind,
        Err(error) => return tracing::error!(%error, "the admin API has lost its socket"),
    };
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    tracker.spawn(dashboard::publish(state.clone(), shutdown.clone()));
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = accept(&listener, &places) => accepted,
        };
        match accepted {
            Ok((stream, client, place)) => {
                let (state, shutdown) = (state.clone(), shutdown.clone());
                tracker.spawn(async move {
                    serve_connection(stream, &state, Caller { client, bind }, &shutdown).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "admin accept failed");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, client) = listener.accept().await?;
    Ok((stream, client, place))
}

async fn serve_connection(
    stream: TcpStream,
    state: &AdminState,
    caller: Caller,
    shutdown: &CancellationToken,
) {
    let cut = CancellationToken::new();
    let service = service_fn(|request: Request<Incoming>| {
        let cut = &cut;
        async move { Ok::<_, Infallible>(state.answer(request, caller, cut).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = cut.cancelled() => return,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            timeout(SHUTDOWN_LIMIT, connection).await.unwrap_or(Ok(()))
        }
    };
    match served {
        Err(error) if error.is_parse() => tracing::info!(%error, "admin request refused"),
        Err(error) => tracing::debug!(%error, "admin connection failed"),
        Ok(()) => {}
    }
}

//! A target that speaks HTTP/2 by prior knowledge, one test's function deciding
//! what happens to each stream; and a client at the level of frames.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use h2::{RecvStream, client, server};
use http::{HeaderMap, Method, Request, Response, Uri};
use rustls::ClientConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use crate::{
    client::connect_tls,
    ports::HeldPort,
    wait::{SOON, within},
};

/// A stream that the target was given.
#[derive(Debug)]
pub struct Call {
    /// The request; its body is read by the test.
    pub request: Request<RecvStream>,
    /// Answers it.
    pub respond: server::SendResponse<Bytes>,
    /// Number of the connection, from 0, health checks included.
    pub connection: usize,
}

/// A request as the target received it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `:method`.
    pub method: Method,
    /// `:scheme`, `:authority` and `:path`.
    pub uri: Uri,
    /// Header fields.
    pub headers: HeaderMap,
    /// Number of the connection, from 0, health checks included.
    pub connection: usize,
}

type Handler = dyn Fn(Call) -> BoxFuture<'static, Result<()>> + Send + Sync;

struct Shared {
    handler: Box<Handler>,
    max_streams: u32,
    requests: watch::Sender<Vec<Seen>>,
    health_checks: watch::Sender<Vec<Seen>>,
    connections: AtomicUsize,
    going_away: watch::Sender<usize>,
}

/// A running HTTP/2 target.
pub struct H2Target {
    port: HeldPort,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

impl H2Target {
    /// Starts a target that gives each request but those for `/health` to `handler` and takes up to
    /// `max_streams` of them on a connection.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start<F>(max_streams: u32, handler: impl Fn(Call) -> F + Send + Sync + 'static) -> Result<Self>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let shared = Arc::new(Shared {
            handler: Box::new(move |call| Box::pin(handler(call))),
            max_streams,
            requests: watch::Sender::default(),
            health_checks: watch::Sender::default(),
            connections: AtomicUsize::new(0),
            going_away: watch::Sender::default(),
        });
        let port = HeldPort::try_new()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(port.listen()?, Arc::clone(&shared)));
        Ok(Self { port, shared, _tasks: tasks })
    }

    /// Where it listens, in clear text.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// The requests so far, health checks left out.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.requests.borrow().clone()
    }

    /// The health checks so far.
    #[must_use]
    pub fn health_checks(&self) -> Vec<Seen> {
        self.shared.health_checks.borrow().clone()
    }

    /// Waits until `count` requests have come, and gives the last of them.
    ///
    /// # Errors
    /// When they have not come soon.
    pub async fn request(&self, count: usize) -> Result<Seen> {
        let mut requests = self.shared.requests.subscribe();
        let what = format!("request {count} at the target");
        let seen = within(SOON, &what, requests.wait_for(|seen| seen.len() >= count)).await??;
        seen.get(count - 1).cloned().context("no such request")
    }

    /// Sends GOAWAY on all connections that are open now; streams in progress go on.
    pub fn go_away(&self) {
        self.shared.going_away.send_modify(|times| *times += 1);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        // How a connection ends shows in its streams.
        connections.spawn(async move { drop(serve(stream, shared).await) });
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut going_away = shared.going_away.subscribe();
    let mut builder = server::Builder::new();
    let mut connection =
        builder.max_concurrent_streams(shared.max_streams).handshake::<_, Bytes>(stream).await?;
    let number = shared.connections.fetch_add(1, Ordering::Relaxed);
    let mut streams = JoinSet::new();
    loop {
        tokio::select! {
            accepted = connection.accept() => {
                let Some(accepted) = accepted else { break };
                let (request, mut respond) = accepted?;
                let seen = Seen {
                    method: request.method().clone(),
                    uri: request.uri().clone(),
                    headers: request.headers().clone(),
                    connection: number,
                };
                if request.uri().path() == "/health" {
                    shared.health_checks.send_modify(|all| all.push(seen));
                    respond.send_response(Response::new(()), true)?;
                    continue;
                }
                shared.requests.send_modify(|all| all.push(seen));
                let handling = (shared.handler)(Call { request, respond, connection: number });
                // What became of a stream shows at the client.
                streams.spawn(async move { drop(handling.await) });
            }
            Ok(()) = going_away.changed() => connection.graceful_shutdown(),
        }
    }
    // The frames of streams in progress are moved by `accept`, which has ended: they are over.
    streams.shutdown().await;
    Ok(())
}

/// Reads a body to its end, with its trailers.
///
/// # Errors
/// When the stream is reset.
pub async fn read_all(body: &mut RecvStream) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        bytes.extend_from_slice(&piece);
    }
    Ok((bytes, body.trailers().await?))
}

/// Sends bytes as the window of the stream opens.
///
/// # Errors
/// When the stream is reset.
pub async fn send_all(stream: &mut h2::SendStream<Bytes>, mut bytes: Bytes) -> Result<()> {
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len());
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await.context("stream closed")??;
        stream.send_data(bytes.split_to(room.min(bytes.len())), false)?;
    }
    Ok(())
}

/// An HTTP/2 connection over TLS, frame by frame. Lives as long as the second value.
///
/// # Errors
/// When the handshake fails.
pub async fn connect(
    addr: SocketAddr,
    name: &str,
    config: Arc<ClientConfig>,
) -> Result<(client::SendRequest<Bytes>, JoinSet<()>)> {
    let (stream, _) = connect_tls(addr, name, config).await?;
    let (sender, connection) = client::handshake(stream).await?;
    let mut tasks = JoinSet::new();
    // How the connection ends shows in its streams.
    tasks.spawn(async move { drop(connection.await) });
    Ok((sender.ready().await?, tasks))
}

//! An HTTP/2 client over TLS.

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::{
    body::{Body, Frame},
    client::conn::http2::{SendRequest, handshake},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use tokio::task::JoinSet;

use crate::{
    client::Client,
    wait::{SOON, within},
};

/// An HTTP/2 connection. Clones of its sender share it.
pub struct Http2 {
    sender: SendRequest<BoxBody<Bytes, Infallible>>,
    local: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Http2 {
    /// Connects over TLS; `config` must offer `h2` by ALPN and the server must choose it.
    ///
    /// # Errors
    /// When the handshake fails or another protocol is chosen.
    pub async fn connect(addr: SocketAddr, name: &str, config: Arc<ClientConfig>) -> Result<Self> {
        Self::over(Client::connect_tls(addr, name, config).await?).await
    }

    /// Speaks HTTP/2 on a TLS connection that chose `h2` and has carried nothing yet.
    ///
    /// # Errors
    /// When another protocol was chosen or HTTP/2 does not begin.
    pub async fn over(client: Client) -> Result<Self> {
        let alpn = client.tls.as_ref().and_then(|tls| tls.alpn.as_deref());
        ensure!(alpn == Some("h2"), "ALPN chose {alpn:?}");
        let local = client.local_addr();
        let stream = client.into_stream()?;
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        let mut tasks = JoinSet::new();
        // How the connection ends shows in the requests on it.
        tasks.spawn(async move { drop(connection.await) });
        Ok(Self { sender, local, _tasks: tasks })
    }

    /// The client's own address, as the balancer sees it.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Sends one request and reads the whole response.
    ///
    /// # Errors
    /// When the stream or connection fails, or nothing comes soon.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>> {
        self.send_body(request.map(|body| Full::new(body).boxed())).await
    }

    /// The same with a body of unknown length: a DATA frame for each piece, `END_STREAM` on the last
    /// and no `content-length`.
    ///
    /// # Errors
    /// When the stream or connection fails, or nothing comes soon.
    pub async fn send_pieces(&self, request: Request<Vec<Bytes>>) -> Result<Response<Bytes>> {
        self.send_body(request.map(|pieces| Pieces(pieces.into()).boxed())).await
    }

    /// The same with a body that never comes and never ends. Dropping the future resets the stream.
    ///
    /// # Errors
    /// When the stream or connection fails, or nothing comes soon.
    pub async fn send_without_end(&self, request: Request<()>) -> Result<Response<Bytes>> {
        self.send_body(request.map(|()| Endless.boxed())).await
    }

    async fn send_body(&self, request: Request<BoxBody<Bytes, Infallible>>) -> Result<Response<Bytes>> {
        let mut sender = self.sender.clone();
        within(SOON, "HTTP/2 response", async move {
            sender.ready().await?;
            let (parts, body) = sender.send_request(request).await?.into_parts();
            Ok(Response::from_parts(parts, body.collect().await?.to_bytes()))
        })
        .await?
    }

    /// GET of an absolute URI with further headers.
    ///
    /// # Errors
    /// When the stream or connection fails, or nothing comes soon.
    pub async fn get(&self, uri: &str, headers: &[(&str, &str)]) -> Result<Response<Bytes>> {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Bytes::new())?).await
    }
}

/// A body that never comes.
struct Endless;

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

/// A body that does not tell its length.
struct Pieces(VecDeque<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

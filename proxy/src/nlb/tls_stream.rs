//! The two sides of a flow as the relay sees them: TLS or not.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{client, server};

use crate::{client_socket::ClientSocket, tunnel::Connection};

/// A TLS connection, whose end without a `close_notify` is an end all the same: what the bytes mean is the
/// business of client and target.
#[derive(Debug)]
pub(super) struct Tls<S>(pub(super) Box<S>);

/// The client's side of a flow of a TLS listener.
pub(super) type TlsClient = Tls<server::TlsStream<ClientSocket>>;

/// A target's side, in a group with protocol TLS.
pub(super) type TlsTarget = Tls<client::TlsStream<TcpStream>>;

/// One side of a flow.
pub(super) trait IntoTcp: Connection {
    /// The TCP connection alone, to be ended.
    fn into_tcp(self) -> TcpStream;
}

impl IntoTcp for TcpStream {
    fn into_tcp(self) -> TcpStream {
        self
    }
}

impl IntoTcp for TlsClient {
    fn into_tcp(self) -> TcpStream {
        self.0.into_inner().0.into_tcp()
    }
}

impl IntoTcp for TlsTarget {
    fn into_tcp(self) -> TcpStream {
        self.0.into_inner().0
    }
}

impl Connection for TlsClient {
    fn tcp(&self) -> Option<&TcpStream> {
        Some(self.0.get_ref().0.tcp())
    }
}

impl Connection for TlsTarget {
    fn tcp(&self) -> Option<&TcpStream> {
        Some(self.0.get_ref().0)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tls<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.0).poll_read(cx, buf)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            other => Poll::Ready(other),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tls<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

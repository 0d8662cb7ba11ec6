//! A client's connection as the HTTP engine and the tunnel see it: plain or
//! TLS, metered, with small writes joined into one.

use std::{
    fmt,
    io::{self, IoSlice},
    os::fd::AsRawFd,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use async_trait::async_trait;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID, UniqueIDType, raw_connect::ProxyDigest,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::meter::Meter;
use crate::client_socket::ClientSocket;

/// Writes up to this size wait for the flush, so that a response's head and
/// its body leave in one TLS record and one system call.
const JOIN_LIMIT: usize = 16 * 1024;

/// What carries a client's bytes.
pub enum Transport {
    /// Clear text.
    Plain(ClientSocket),
    /// TLS, terminated here.
    Tls(Box<TlsStream<ClientSocket>>),
}

/// A client's connection.
pub struct ClientStream {
    transport: Transport,
    meter: Arc<Meter>,
    unsent: Vec<u8>,
    join_limit: usize,
    omits_head: bool,
}

impl ClientStream {
    /// Wraps an accepted connection whose traffic `meter` counts.
    #[must_use]
    pub const fn new(transport: Transport, meter: Arc<Meter>) -> Self {
        Self { transport, meter, unsent: Vec::new(), join_limit: JOIN_LIMIT, omits_head: false }
    }

    /// The connection's byte counts.
    #[must_use]
    pub const fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// From now on each write goes out by itself: for HTTP/2 and tunnels, which
    /// have nothing to join and would only pay for the copy.
    #[must_use]
    pub const fn write_through(mut self) -> Self {
        self.join_limit = 0;
        self
    }

    /// Leaves the head of the next response out, as HTTP/0.9 wants it. A head is written in one piece.
    pub const fn omit_head(&mut self) {
        self.omits_head = true;
    }

    fn tcp(&self) -> &TcpStream {
        match &self.transport {
            Transport::Plain(socket) => socket.tcp(),
            Transport::Tls(tls) => tls.get_ref().0.tcp(),
        }
    }

    fn poll_write_through(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Transport::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        };
        if let Poll::Ready(Ok(n)) = written {
            self.meter.on_sent(n);
        }
        written
    }

    fn poll_send_unsent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let unsent = std::mem::take(&mut self.unsent);
            let written = self.poll_write_through(cx, &unsent);
            self.unsent = unsent;
            match ready!(written)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n if n >= self.unsent.len() => self.unsent = Vec::new(),
                n => {
                    self.unsent.drain(..n);
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for ClientStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientStream").field("tcp", self.tcp()).finish_non_exhaustive()
    }
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        if self.meter.reset.is_asked() {
            // Fails only on a connection that has gone: then there is nothing to reset.
            drop(self.tcp().set_zero_linger());
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Whoever waits for the client has nothing more to join for now.
        if !self.unsent.is_empty()
            && let Poll::Ready(Err(error)) = self.as_mut().poll_flush(cx)
        {
            return Poll::Ready(Err(error));
        }
        let before = buf.filled().len();
        let read = match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Transport::Tls(tls) => match ready!(Pin::new(tls).poll_read(cx, buf)) {
                // Browsers and apps close without close_notify. HTTP and WebSocket mark
                // their own ends, so this is an end of stream and not an error.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
                other => Poll::Ready(other),
            },
        };
        let received = buf.filled().len() - before;
        if received > 0 {
            self.meter.on_received(received);
            if self.meter.is_head_too_long() {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
        }
        read
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.omits_head {
            self.omits_head = false;
            if let Some(end) = memchr::memmem::find(buf, b"\r\n\r\n") {
                self.unsent.extend_from_slice(buf.get(end + 4..).unwrap_or_default());
            }
            return Poll::Ready(Ok(buf.len()));
        }
        if self.unsent.len() + buf.len() <= self.join_limit {
            self.unsent.extend_from_slice(buf);
            return Poll::Ready(Ok(buf.len()));
        }
        ready!(self.poll_send_unsent(cx))?;
        self.poll_write_through(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = bufs.iter().find(|buf| !buf.is_empty());
        self.poll_write(cx, first.map_or(&[][..], |buf| buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send_unsent(cx))?;
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Transport::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send_unsent(cx))?;
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Transport::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

#[async_trait]
impl Shutdown for ClientStream {
    async fn shutdown(&mut self) {
        // The connection is given up either way; an error only says that the client was faster.
        drop(AsyncWriteExt::shutdown(self).await);
    }
}

impl UniqueID for ClientStream {
    fn id(&self) -> UniqueIDType {
        self.tcp().as_raw_fd()
    }
}

impl GetSocketDigest for ClientStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

impl GetTimingDigest for ClientStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for ClientStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl Ssl for ClientStream {}
impl Peek for ClientStream {}

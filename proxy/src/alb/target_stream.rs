//! A connection to a target as the HTTP engine sees it.
//!
//! Writing never waits: what the target does not take at once is kept and
//! sent while the engine waits to read. So a target that answers while it
//! still receives, an echo for example, never blocks both directions. How much
//! is kept is up to the sender, who looks at [`Backlog`] before it sends more.

use std::{
    io,
    os::fd::AsRawFd,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use async_trait::async_trait;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream,
    TimingDigest, UniqueID, UniqueIDType, raw_connect::ProxyDigest,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    sync::Notify,
};

use crate::{fault::Throttle, target_groups::pool::TargetConnection};

/// Unsent bytes from which on a sender should wait (64 KiB).
const BACKLOG_LIMIT: usize = 64 * 1024;

/// How far a connection is behind with sending. Shared with the sender.
#[derive(Debug, Default)]
pub struct Backlog {
    unsent: AtomicUsize,
    sent: AtomicU64,
    drained: Notify,
}

impl Backlog {
    /// Waits until there is room for more.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping the future.
    pub async fn room(&self) {
        while self.unsent.load(Ordering::Relaxed) >= BACKLOG_LIMIT {
            self.drained.notified().await;
        }
    }

    /// Bytes the connection has taken so far: grows while the target reads.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// A connection to a target, for the HTTP engine.
#[derive(Debug)]
pub struct TargetStream {
    connection: TargetConnection,
    unsent: Vec<u8>,
    backlog: Arc<Backlog>,
    /// TLS keeps what the socket did not take.
    unflushed: bool,
    broken: Option<io::ErrorKind>,
    throttle: Option<Box<Throttle>>,
}

impl TargetStream {
    /// Wraps a connection, new or from the pool, and says how far it is behind.
    #[must_use]
    pub fn new(connection: TargetConnection) -> (Self, Arc<Backlog>) {
        let backlog = Arc::new(Backlog::default());
        let stream = Self {
            connection,
            unsent: Vec::new(),
            backlog: Arc::clone(&backlog),
            unflushed: false,
            broken: None,
            throttle: None,
        };
        (stream, backlog)
    }

    /// The same, read from as slowly as `throttle` says.
    #[must_use]
    pub fn throttled(mut self, throttle: Option<Box<Throttle>>) -> Self {
        self.throttle = throttle;
        self
    }

    /// The connection inside what the HTTP engine gives back, with what is still unsent; `None` if it is
    /// not one of these or broken.
    #[must_use]
    pub fn into_parts(stream: Stream) -> Option<(TargetConnection, Vec<u8>)> {
        let stream = stream.into_any().downcast::<Self>().ok()?;
        stream.broken.is_none().then_some((stream.connection, stream.unsent))
    }

    /// Sends as much as the target takes.
    fn send(&mut self, cx: &mut Context<'_>) {
        while !self.unsent.is_empty() {
            match Pin::new(&mut self.connection.io).poll_write(cx, &self.unsent) {
                Poll::Ready(Ok(n)) => {
                    self.unsent.drain(..n);
                    self.unflushed = self.connection.io.is_tls();
                    self.backlog.sent.fetch_add(n as u64, Ordering::Relaxed);
                }
                // The target may have answered before it closed: reading tells.
                Poll::Ready(Err(error)) => self.fail(&error),
                Poll::Pending => break,
            }
        }
        if self.unflushed {
            match Pin::new(&mut self.connection.io).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => self.fail(&error),
                Poll::Pending => {}
            }
        }
        if self.backlog.unsent.swap(self.unsent.len(), Ordering::Relaxed) >= BACKLOG_LIMIT
            && self.unsent.len() < BACKLOG_LIMIT
        {
            self.backlog.drained.notify_one();
        }
    }

    fn fail(&mut self, error: &io::Error) {
        self.broken = Some(error.kind());
        self.unsent = Vec::new();
        self.unflushed = false;
    }
}

impl AsyncRead for TargetStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.unsent.is_empty() || self.unflushed {
            self.send(cx);
        }
        let Self { connection, throttle, .. } = &mut *self;
        match throttle {
            None => Pin::new(&mut connection.io).poll_read(cx, buf),
            Some(throttle) => throttle.poll_read(cx, Pin::new(&mut connection.io), buf),
        }
    }
}

impl AsyncWrite for TargetStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(kind) = self.broken {
            return Poll::Ready(Err(kind.into()));
        }
        let mut taken = 0;
        if self.unsent.is_empty() {
            match Pin::new(&mut self.connection.io).poll_write(cx, buf) {
                Poll::Ready(Ok(n)) => {
                    taken = n;
                    self.unflushed = self.connection.io.is_tls();
                    self.backlog.sent.fetch_add(n as u64, Ordering::Relaxed);
                }
                Poll::Ready(Err(error)) => {
                    self.broken = Some(error.kind());
                    return Poll::Ready(Err(error));
                }
                Poll::Pending => {}
            }
        }
        if let Some(rest) = buf.get(taken..).filter(|rest| !rest.is_empty()) {
            self.unsent.extend_from_slice(rest);
            self.backlog.unsent.store(self.unsent.len(), Ordering::Relaxed);
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.send(cx);
        Poll::Ready(self.broken.map_or(Ok(()), |kind| Err(kind.into())))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.send(cx);
        Pin::new(&mut self.connection.io).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for TargetStream {
    async fn shutdown(&mut self) {
        // The connection is given up either way; an error only says that the target was faster.
        drop(self.connection.io.shutdown().await);
    }
}

impl UniqueID for TargetStream {
    fn id(&self) -> UniqueIDType {
        self.connection.io.as_raw_fd()
    }
}

impl GetSocketDigest for TargetStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

impl GetTimingDigest for TargetStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for TargetStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl Ssl for TargetStream {}
impl Peek for TargetStream {}

#[cfg(test)]
mod tests {
    use tokio::{
        io::AsyncReadExt,
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::{
        metrics::{Gauge, OpenConnection},
        target_groups::pool::TargetIo,
    };

    async fn pair() -> (TargetStream, Arc<Backlog>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        let open = OpenConnection::new(Gauge::new("open", "open").unwrap());
        let (stream, backlog) = TargetStream::new(TargetConnection { io: TargetIo::Plain(tcp), open });
        (stream, backlog, far)
    }

    #[tokio::test]
    async fn writing_does_not_wait_and_reading_sends_the_rest() {
        let (mut near, backlog, mut far) = pair().await;
        let sent = vec![7; 16 << 20];
        near.write_all(&sent).await.unwrap();
        near.flush().await.unwrap();
        assert!(backlog.sent() < sent.len() as u64, "the socket took all: nothing was kept");
        let receive = async {
            let mut received = vec![0; sent.len()];
            far.read_exact(&mut received).await.unwrap();
            far.write_all(b"done").await.unwrap();
            received
        };
        let mut answer = [0; 4];
        let (received, read, ()) = tokio::join!(receive, near.read_exact(&mut answer), backlog.room());
        read.unwrap();
        assert_eq!(received, sent);
        assert_eq!(&answer, b"done");
        assert_eq!(backlog.sent(), sent.len() as u64);
    }
}

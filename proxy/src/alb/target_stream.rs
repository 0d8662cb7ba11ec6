//! A connection to a target as the HTTP engine sees it.

use std::{
    io,
    os::fd::AsRawFd,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use async_trait::async_trait;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream,
    TimingDigest, UniqueID, UniqueIDType, raw_connect::ProxyDigest,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::target_groups::pool::TargetConnection;

/// A connection to a target, for the HTTP engine.
#[derive(Debug)]
pub struct TargetStream(TargetConnection);

impl TargetStream {
    /// Wraps a connection, new or from the pool.
    #[must_use]
    pub const fn new(connection: TargetConnection) -> Self {
        Self(connection)
    }

    /// The connection inside what the HTTP engine gives back, or `None` if it is not one of these.
    #[must_use]
    pub fn into_connection(stream: Stream) -> Option<TargetConnection> {
        stream.into_any().downcast::<Self>().ok().map(|stream| stream.0)
    }
}

impl AsyncRead for TargetStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for TargetStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0.tcp).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.tcp).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for TargetStream {
    async fn shutdown(&mut self) {
        // The connection is given up either way; an error only says that the target was faster.
        drop(self.0.tcp.shutdown().await);
    }
}

impl UniqueID for TargetStream {
    fn id(&self) -> UniqueIDType {
        self.0.tcp.as_raw_fd()
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

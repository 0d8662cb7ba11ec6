//! A stream with bytes that were read from it too early.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Gives the early bytes back before it reads on.
#[derive(Debug)]
pub struct Replay<T> {
    early: Bytes,
    inner: T,
}

impl<T> Replay<T> {
    /// Reads `early` first, then from `inner`.
    #[must_use]
    pub fn new(inner: T, early: Bytes) -> Self {
        // Empty, it may still hold a whole read buffer, for as long as this lives.
        let early = if early.is_empty() { Bytes::new() } else { early };
        Self { early, inner }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Replay<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        let length = self.early.len().min(buf.remaining());
        buf.put_slice(self.early.get(..length).unwrap_or_default());
        self.early.advance(length);
        if self.early.is_empty() {
            // Gives the memory back.
            self.early = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Replay<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn no_early_bytes_hold_no_memory() {
        struct Empty(#[expect(dead_code, reason = "counted")] std::sync::Arc<()>);
        impl AsRef<[u8]> for Empty {
            fn as_ref(&self) -> &[u8] {
                &[]
            }
        }
        let memory = std::sync::Arc::new(());
        let stream = Replay::new((), Bytes::from_owner(Empty(std::sync::Arc::clone(&memory))));
        assert_eq!(std::sync::Arc::strong_count(&memory), 1);
        drop(stream);
    }

    #[tokio::test]
    async fn early_bytes_come_first_however_small_the_reads_are() {
        let (mut peer, ours) = tokio::io::duplex(64);
        peer.write_all(b"defg").await.unwrap();
        drop(peer);
        let mut stream = Replay::new(ours, Bytes::from_static(b"abc"));
        let mut small = [0; 2];
        stream.read_exact(&mut small).await.unwrap();
        assert_eq!(&small, b"ab");
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "cdefg");
    }
}

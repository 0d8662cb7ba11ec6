//! Connections from which bytes come at a limited rate.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until},
};

use super::Pace;
use crate::tunnel::{self, CloseReason, Connection, EarlyBytes, Settings};

/// Reads no faster than a [`Pace`] allows.
#[derive(Debug)]
pub struct Throttle {
    pace: Pace,
    waiting: Pin<Box<Sleep>>,
}

impl Throttle {
    /// Nothing has been read yet.
    #[must_use]
    pub fn new(pace: Pace) -> Self {
        Self { pace, waiting: Box::pin(sleep_until(Instant::now())) }
    }

    /// Reads a piece from `reader` once it is due.
    ///
    /// # Errors
    /// As `reader`.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        reader: Pin<&mut (impl AsyncRead + ?Sized)>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.waiting.as_mut().poll(cx));
        let length = buf.remaining().min(self.pace.piece());
        let mut piece = ReadBuf::new(buf.initialize_unfilled_to(length));
        ready!(reader.poll_read(cx, &mut piece))?;
        let read = piece.filled().len();
        buf.advance(read);
        self.note(read);
        Poll::Ready(Ok(()))
    }

    /// How many bytes may pass at once.
    #[must_use]
    pub fn piece(&self) -> usize {
        self.pace.piece()
    }

    /// Waits until the next bytes are due.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping the future.
    pub async fn due(&mut self) {
        self.waiting.as_mut().await;
    }

    /// Takes in that `bytes` have passed now.
    pub fn note(&mut self, bytes: usize) {
        let now = Instant::now();
        self.pace.note(bytes, now);
        self.waiting.as_mut().reset(self.pace.due(now));
    }
}

/// Relays the bytes of a tunnel, those of the target at `pace`.
pub async fn relay_slowly<C: Connection, T: Connection>(
    client: &mut C,
    target: &mut T,
    pace: Pace,
    early: EarlyBytes,
    settings: Settings<'_>,
    ended: impl Future<Output = ()>,
) -> CloseReason {
    tunnel::relay(client, &mut Slow::new(target, pace), early, settings, ended).await
}

/// A target's connection, slowed: writes go as they come.
#[derive(Debug)]
struct Slow<'a, C> {
    inner: &'a mut C,
    throttle: Throttle,
}

impl<'a, C> Slow<'a, C> {
    /// Reads from `inner` at `pace`.
    fn new(inner: &'a mut C, pace: Pace) -> Self {
        Self { inner, throttle: Throttle::new(pace) }
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Slow<'_, C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { inner, throttle } = &mut *self;
        throttle.poll_read(cx, Pin::new(&mut **inner), buf)
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Slow<'_, C> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner).poll_shutdown(cx)
    }
}

impl<C: Connection> Connection for Slow<'_, C> {
    fn tcp(&self) -> Option<&TcpStream> {
        self.inner.tcp()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_come_at_the_rate_and_in_pieces() {
        let (mut near, mut far) = tokio::io::duplex(1 << 16);
        far.write_all(&[7; 1000]).await.unwrap();
        let mut slow = Slow::new(&mut near, Pace::new(100.0));
        let began = Instant::now();
        let mut buf = [0; 600];
        assert_eq!(slow.read(&mut buf).await.unwrap(), 10, "a tenth of a second's worth");
        assert_eq!(began.elapsed().as_secs(), 0);
        slow.read_exact(&mut buf[..590]).await.unwrap();
        assert_eq!(
            began.elapsed().as_secs(),
            5,
            "the last piece came when the one before it had had its time"
        );
        slow.write_all(b"at once").await.unwrap();
        assert_eq!(began.elapsed().as_secs(), 5);
        let mut written = [0; 7];
        far.read_exact(&mut written).await.unwrap();
        assert_eq!(&written, b"at once");
    }
}

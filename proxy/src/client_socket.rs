//! A client's TCP connection, as it was accepted: with the bytes that were read
//! ahead of it, and watched if it is a flow of a network load balancer that an
//! application load balancer of this process serves.
//!
//! Whoever looks for a PROXY protocol header reads past it; what follows is given
//! back here. Knows no protocol.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Instant,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A client's TCP connection.
#[derive(Debug)]
pub struct ClientSocket {
    tcp: TcpStream,
    /// Bytes of the client that were read already, from `given` on.
    ahead: Vec<u8>,
    given: usize,
    watched: Option<Watched>,
}

#[derive(Debug)]
struct Watched {
    watch: Arc<FlowWatch>,
    /// Tells the watch of the end.
    _ended: DropGuard,
}

impl ClientSocket {
    /// A connection of which `ahead` was read already.
    #[must_use]
    pub const fn new(tcp: TcpStream, ahead: Vec<u8>) -> Self {
        Self { tcp, ahead, given: 0, watched: None }
    }

    /// Tells `watch` what happens to the connection until it is closed.
    #[must_use]
    pub fn watched(mut self, watch: Arc<FlowWatch>) -> Self {
        let ended = watch.ended.clone().drop_guard();
        self.watched = Some(Watched { watch, _ended: ended });
        self
    }

    /// The TCP connection itself.
    #[must_use]
    pub const fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// The TCP connection alone. What was read ahead must have been read here before.
    #[must_use]
    pub fn into_tcp(self) -> TcpStream {
        self.tcp
    }

    fn expired(&self) -> bool {
        self.watched.as_ref().is_some_and(|watched| watched.watch.expired.load(Ordering::Relaxed))
    }

    /// A packet came for a flow that nobody knows any more: its answer is a RST.
    fn answer_with_reset(&self) -> io::Error {
        // Closing resets the connection; a refusal only makes the goodbye a polite one.
        drop(SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO)));
        io::ErrorKind::ConnectionReset.into()
    }

    fn note_read(&self, read: &Poll<io::Result<()>>, bytes: usize) {
        let Some(Watched { watch, .. }) = &self.watched else { return };
        match read {
            Poll::Ready(Ok(())) if bytes > 0 => watch.count(&watch.received, bytes),
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
                watch.client_reset.store(true, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    fn note_written(&self, written: &Poll<io::Result<usize>>) {
        if let (Some(Watched { watch, .. }), Poll::Ready(Ok(bytes))) = (&self.watched, written) {
            watch.count(&watch.sent, *bytes);
        }
    }
}

impl AsyncRead for ClientSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let rest = self.ahead.get(self.given..).unwrap_or_default();
            let now = rest.get(..rest.len().min(buf.remaining())).unwrap_or_default();
            buf.put_slice(now);
            let bytes = now.len();
            self.given += bytes;
            if self.given >= self.ahead.len() {
                // Read once: the memory is given back.
                self.ahead = Vec::new();
            }
            self.note_read(&Poll::Ready(Ok(())), bytes);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.tcp).poll_read(cx, buf);
        if self.watched.is_some() {
            if self.expired() {
                ready!(read)?;
                buf.set_filled(before);
                return Poll::Ready(Err(self.answer_with_reset()));
            }
            self.note_read(&read, buf.filled().len() - before);
        }
        read
    }
}

impl AsyncWrite for ClientSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.expired() {
            return Poll::Ready(Err(self.answer_with_reset()));
        }
        let written = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.note_written(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.expired() {
            return Poll::Ready(Err(self.answer_with_reset()));
        }
        let written = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.note_written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.expired() {
            return Poll::Ready(Err(self.answer_with_reset()));
        }
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// What a network load balancer sees of a flow that another load balancer of this process serves.
#[derive(Debug)]
pub struct FlowWatch {
    begun: Instant,
    received: AtomicU64,
    sent: AtomicU64,
    /// Milliseconds after `begun` of the last byte in either direction.
    last_byte: AtomicU64,
    expired: AtomicBool,
    client_reset: AtomicBool,
    ended: CancellationToken,
}

impl FlowWatch {
    /// A flow that begins now.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            begun: now,
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            last_byte: AtomicU64::new(0),
            expired: AtomicBool::new(false),
            client_reset: AtomicBool::new(false),
            ended: CancellationToken::new(),
        }
    }

    /// Bytes from the client and to it.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (self.received.load(Ordering::Relaxed), self.sent.load(Ordering::Relaxed))
    }

    /// Whether the client ended the connection with a RST.
    #[must_use]
    pub fn is_client_reset(&self) -> bool {
        self.client_reset.load(Ordering::Relaxed)
    }

    /// Forgets the flow: what comes of it from now on, from either side, is answered with a RST.
    pub fn expire(&self) {
        self.expired.store(true, Ordering::Relaxed);
    }

    /// Completes when the connection is closed.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping the future.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Completes when no byte passed for `idle`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping the future.
    pub async fn idle(&self, idle: Duration) {
        loop {
            let last = self.begun + Duration::from_millis(self.last_byte.load(Ordering::Relaxed));
            let deadline = last + idle;
            if Instant::now() >= deadline {
                return;
            }
            tokio::time::sleep_until(deadline).await;
        }
    }

    fn count(&self, counter: &AtomicU64, bytes: usize) {
        counter.fetch_add(bytes as u64, Ordering::Relaxed);
        let after = Instant::now().saturating_duration_since(self.begun).as_millis();
        self.last_byte.store(u64::try_from(after).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// A client, and the socket it was accepted on.
    async fn pair(ahead: &[u8]) -> (TcpStream, ClientSocket) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (tcp, _) = listener.accept().await.unwrap();
        (client, ClientSocket::new(tcp, ahead.to_vec()))
    }

    #[tokio::test]
    async fn what_was_read_ahead_comes_first_however_it_is_read() {
        for size in [1, 3, 100] {
            let (mut client, mut socket) = pair(b"ahead ").await;
            client.write_all(b"of time").await.unwrap();
            client.shutdown().await.unwrap();
            let mut all = Vec::new();
            loop {
                let mut buf = vec![0; size];
                let read = socket.read(&mut buf).await.unwrap();
                if read == 0 {
                    break;
                }
                all.extend_from_slice(&buf[..read]);
            }
            assert_eq!(all, b"ahead of time");
        }
    }

    #[tokio::test]
    async fn a_watch_counts_both_ways_and_learns_of_the_end() {
        let (mut client, socket) = pair(b"12345").await;
        let watch = Arc::new(FlowWatch::new(Instant::now()));
        let mut socket = socket.watched(Arc::clone(&watch));
        client.write_all(b"678").await.unwrap();
        let mut received = [0; 8];
        socket.read_exact(&mut received).await.unwrap();
        socket.write_all(b"answer").await.unwrap();
        assert_eq!(watch.bytes(), (8, 6));
        assert!(!watch.ended.is_cancelled());
        drop(socket);
        watch.ended().await;
        assert!(!watch.is_client_reset());
    }

    #[tokio::test]
    async fn a_reset_of_the_client_is_told() {
        let (client, socket) = pair(b"").await;
        let watch = Arc::new(FlowWatch::new(Instant::now()));
        let mut socket = socket.watched(Arc::clone(&watch));
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        assert_eq!(socket.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert!(watch.is_client_reset());
    }

    #[tokio::test]
    async fn after_its_expiry_a_flow_is_silent_until_a_packet_comes_which_gets_a_reset() {
        let (mut client, socket) = pair(b"").await;
        let watch = Arc::new(FlowWatch::new(Instant::now()));
        let mut socket = socket.watched(Arc::clone(&watch));
        watch.expire();
        let mut buf = [0; 1];
        let mut reading = Box::pin(socket.read(&mut buf));
        assert!(futures_util::poll!(&mut reading).is_pending());
        client.write_all(b"anybody there?").await.unwrap();
        assert_eq!(reading.await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        drop(socket);
        assert_eq!(client.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn after_its_expiry_a_write_of_ours_fails() {
        let (_client, socket) = pair(b"").await;
        let watch = Arc::new(FlowWatch::new(Instant::now()));
        let mut socket = socket.watched(Arc::clone(&watch));
        watch.expire();
        assert_eq!(socket.write_all(b"x").await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(watch.bytes(), (0, 0));
    }

    #[tokio::test]
    async fn idleness_is_counted_from_the_last_byte() {
        let (mut client, socket) = pair(b"").await;
        let watch = Arc::new(FlowWatch::new(Instant::now()));
        let mut socket = socket.watched(Arc::clone(&watch));
        let idle = Duration::from_millis(400);
        tokio::time::sleep(idle / 2).await;
        client.write_all(b"x").await.unwrap();
        socket.read_u8().await.unwrap();
        let last = Instant::now();
        watch.idle(idle).await;
        assert!(last.elapsed() >= idle.saturating_sub(Duration::from_millis(2)), "{:?}", last.elapsed());
    }
}

//! A client's TCP connection, as it was accepted: with the bytes that were read
//! ahead of it, and watched if it is a flow of a network load balancer that an
//! application load balancer of this process serves.
//!
//! Whoever looks for a PROXY protocol header reads past it; what follows is given
//! back here. Knows no protocol. What it knows of a watched flow, it tells the
//! [`FlowWatch`]; what becomes of one that is expired or cut is decided there and
//! done here: every call fails, and closing the socket sends a RST.

mod flow_watch;
#[cfg(test)]
mod tests;

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_util::sync::DropGuard;

pub use self::flow_watch::{FirstEnd, FlowWatch};

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
    _closed: DropGuard,
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
        let closed = watch.closed().clone().drop_guard();
        self.watched = Some(Watched { watch, _closed: closed });
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

    fn watch(&self) -> Option<&FlowWatch> {
        self.watched.as_ref().map(|watched| &*watched.watch)
    }

    /// A packet came for a flow that nobody knows any more: its answer is a RST.
    fn answer_with_reset(&self) -> io::Error {
        // Closing resets the connection; a refusal only makes the goodbye a polite one.
        drop(SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO)));
        io::ErrorKind::ConnectionReset.into()
    }

    /// Whether something may still be sent.
    fn check_writable(&self, cx: &Context<'_>) -> io::Result<()> {
        match self.watch() {
            Some(watch) if watch.is_cut_for_writer(cx) || watch.is_expired() => Err(self.answer_with_reset()),
            _ => Ok(()),
        }
    }

    fn note_written(&self, written: &Poll<io::Result<usize>>) {
        match (self.watch(), written) {
            (Some(watch), Poll::Ready(Ok(bytes))) => watch.count_sent(*bytes),
            (Some(watch), Poll::Ready(Err(error))) => watch.note_error(error),
            _ => {}
        }
    }
}

impl AsyncRead for ClientSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.watch().is_some_and(|watch| watch.is_cut_for_reader(cx)) {
            return Poll::Ready(Err(self.answer_with_reset()));
        }
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
            if let Some(watch) = self.watch() {
                watch.count_received(bytes);
            }
            return Poll::Ready(Ok(()));
        }
        let (before, has_room) = (buf.filled().len(), buf.remaining() > 0);
        let read = Pin::new(&mut self.tcp).poll_read(cx, buf);
        if let Some(watch) = self.watch() {
            if watch.is_expired() {
                ready!(read)?;
                buf.set_filled(before);
                return Poll::Ready(Err(self.answer_with_reset()));
            }
            match &read {
                Poll::Ready(Ok(())) if buf.filled().len() > before => {
                    watch.count_received(buf.filled().len() - before);
                }
                Poll::Ready(Ok(())) if has_room => watch.note_end(FirstEnd::ClientFin),
                Poll::Ready(Err(error)) => watch.note_error(error),
                _ => {}
            }
        }
        read
    }
}

impl AsyncWrite for ClientSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check_writable(cx)?;
        let written = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.note_written(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_writable(cx)?;
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
        self.check_writable(cx)?;
        let shut = Pin::new(&mut self.tcp).poll_shutdown(cx);
        if let (Some(watch), Poll::Ready(Ok(()))) = (self.watch(), &shut) {
            watch.note_end(FirstEnd::ServerFin);
        }
        shut
    }
}

//! A connection with Tomcat's timers.
//!
//! The HTTP library has one timer for reading a head and for idling between
//! requests; Tomcat and its users have two. The wrapper keeps one state for the
//! connection and one timer:
//!
//! *head* (deadline: `connection-timeout` after the first byte, or the accept)
//! → *request* (no deadline) → *idle* (deadline: `keep-alive-timeout`) → first
//! byte → *head* …
//!
//! Reading comes before the timer: a request that has arrived is served even
//! when the deadline has passed. A write that the peer does not take for
//! `connection-timeout` ends the connection too.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Duration, Instant, Sleep};

use crate::transport::Transport;

use super::head::HeadScan;

#[derive(Debug)]
enum Phase {
    /// A head is being read.
    Head { deadline: Instant },
    /// A request is being served.
    Request,
    /// Between two requests.
    Idle { deadline: Instant },
}

#[derive(Debug)]
struct State {
    phase: Phase,
    head: HeadScan,
    /// Who waits for bytes without a deadline. The HTTP library reads while it
    /// serves a request, and need not read again when it has served it: it must
    /// be woken to meet the deadline that starts then.
    waiting: Option<Waker>,
}

/// The state of a connection, shared by its socket and its service.
#[derive(Debug)]
pub(super) struct Clock {
    state: Mutex<State>,
    connection_timeout: Duration,
    keep_alive_timeout: Duration,
}

impl Clock {
    /// The clock of a connection accepted at `now`.
    pub(super) fn new(now: Instant, connection_timeout: Duration, keep_alive_timeout: Duration) -> Self {
        let phase = Phase::Head { deadline: now + connection_timeout };
        let state = Mutex::new(State { phase, head: HeadScan::default(), waiting: None });
        Self { state, connection_timeout, keep_alive_timeout }
    }

    /// A head is complete and its request is being served. Returns whether the
    /// length of its body was ambiguous.
    pub(super) fn request_started(&self) -> bool {
        let mut state = self.state.lock();
        state.phase = Phase::Request;
        std::mem::take(&mut state.head).is_ambiguous()
    }

    /// The response has been handed to the connection.
    pub(super) fn request_finished(&self, now: Instant) {
        let waiting = {
            let mut state = self.state.lock();
            state.phase = Phase::Idle { deadline: now + self.keep_alive_timeout };
            state.waiting.take()
        };
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    fn received(&self, now: Instant, bytes: &[u8]) {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Head { .. } => {}
            Phase::Idle { .. } => {
                state.phase = Phase::Head { deadline: now + self.connection_timeout };
            }
            Phase::Request => return,
        }
        state.head.read(bytes);
    }

    /// When a reader that finds nothing must give up. Without a deadline it is
    /// woken when there is one.
    fn deadline(&self, cx: &Context<'_>) -> Option<Instant> {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Head { deadline } | Phase::Idle { deadline } => Some(deadline),
            Phase::Request => {
                state.waiting = Some(cx.waker().clone());
                None
            }
        }
    }
}

/// A connection that ends when its clock says so.
#[derive(Debug)]
pub(super) struct TimedIo<T = Transport> {
    transport: T,
    clock: Arc<Clock>,
    timer: Option<Pin<Box<Sleep>>>,
    /// When the blocked write will have blocked too long.
    write_deadline: Option<Instant>,
}

impl<T> TimedIo<T> {
    pub(super) fn new(transport: T, clock: Arc<Clock>) -> Self {
        Self { transport, clock, timer: None, write_deadline: None }
    }

    /// The bare connection, without timers.
    pub(super) fn into_inner(self) -> T {
        self.transport
    }

    /// Fails when the deadline has passed, else arms the timer.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let deadlines = self.clock.deadline(cx).into_iter().chain(self.write_deadline);
        let Some(deadline) = deadlines.min() else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }

    /// Watches over a write: arms the deadline while it blocks.
    fn written<R>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        match result {
            Poll::Ready(result) => {
                self.write_deadline = None;
                Poll::Ready(result)
            }
            Poll::Pending => {
                if self.write_deadline.is_none() {
                    self.write_deadline = Some(Instant::now() + self.clock.connection_timeout);
                }
                self.poll_deadline(cx).map(Err)
            }
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for TimedIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.transport).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                let bytes = buf.filled().get(before..).unwrap_or_default();
                if !bytes.is_empty() {
                    self.clock.received(Instant::now(), bytes);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.poll_deadline(cx).map(Err),
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for TimedIo<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.transport).poll_write(cx, buf);
        self.written(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.transport).poll_write_vectored(cx, bufs);
        self.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TLS takes bytes that it has not written, and is late here.
        let result = Pin::new(&mut self.transport).poll_flush(cx);
        self.written(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.transport).poll_shutdown(cx);
        self.written(cx, result)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::io::AsyncWriteExt;

    use super::*;

    const CONNECTION: Duration = Duration::from_secs(20);
    const KEEP_ALIVE: Duration = Duration::from_secs(70);

    #[derive(Default)]
    struct Flag(AtomicBool);

    impl std::task::Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    fn deadline(clock: &Clock) -> Option<Instant> {
        clock.deadline(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn each_phase_has_its_deadline() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let clock = Clock::new(now, CONNECTION, KEEP_ALIVE);
        assert_eq!(deadline(&clock), Some(now + CONNECTION));
        // More bytes of a head do not move its deadline.
        clock.received(now + second, b"GET /");
        assert_eq!(deadline(&clock), Some(now + CONNECTION));
        clock.request_started();
        assert_eq!(deadline(&clock), None);
        clock.request_finished(now + second);
        assert_eq!(deadline(&clock), Some(now + second + KEEP_ALIVE));
        clock.received(now + second * 5, b"G");
        assert_eq!(deadline(&clock), Some(now + second * 5 + CONNECTION));
    }

    #[test]
    fn a_reader_without_a_deadline_is_woken_when_it_gets_one() {
        let flag = Arc::new(Flag::default());
        let waker = Waker::from(Arc::clone(&flag));
        let clock = Clock::new(Instant::now(), CONNECTION, KEEP_ALIVE);
        clock.request_started();
        assert_eq!(clock.deadline(&Context::from_waker(&waker)), None);
        assert!(!flag.0.load(Ordering::SeqCst));
        clock.request_finished(Instant::now());
        assert!(flag.0.load(Ordering::SeqCst));
    }

    /// Takes every byte and writes none, as TLS does on a full socket.
    struct Stuck;

    impl AsyncWrite for Stuck {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_taken_and_is_not_written_ends_the_connection_too() {
        let start = Instant::now();
        let clock = Arc::new(Clock::new(start, CONNECTION, KEEP_ALIVE));
        clock.request_started();
        let mut io = TimedIo::new(Stuck, Arc::clone(&clock));
        io.write_all(b"answer").await.unwrap();
        clock.request_finished(start);
        assert_eq!(io.flush().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), CONNECTION.as_secs());
        let mut io = TimedIo::new(Stuck, clock);
        assert_eq!(io.shutdown().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), 2 * CONNECTION.as_secs());
    }

    #[test]
    fn each_head_is_judged_by_itself() {
        let now = Instant::now();
        let clock = Clock::new(now, CONNECTION, KEEP_ALIVE);
        clock.received(now, b"GET / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: a\r\n\r\n");
        assert!(clock.request_started());
        clock.request_finished(now);
        clock.received(now, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        assert!(!clock.request_started());
    }
}

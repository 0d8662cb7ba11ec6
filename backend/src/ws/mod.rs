//! WebSocket (RFC 6455), the server's side, and the only user of the WebSocket
//! library.
//!
//! [`handshake`] validates an upgrade request, [`Socket`] reads messages and
//! writes queued ones. Fragments are assembled, pings are answered (one at a
//! time) and close frames are echoed inside. Extensions are not negotiated.

mod close;
pub mod handshake;

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Sink, Stream as _};
use tokio::time::{Instant, timeout_at};
use tokio_websockets::{Error, Limits, Message, ServerBuilder, WebSocketStream};

pub use close::CloseCode;

use crate::transport::{Replay, Transport};

/// A connection after the upgrade. The client may have sent its first frames
/// together with the request.
pub type Stream = Replay<Transport>;

/// A message of more bytes does not leave its memory to those that follow.
const LARGE: usize = 16 * 1024;

/// Whether messages are wanted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Take the next message.
    On,
    /// Leave messages in the socket, so that the peer is slowed down.
    Paused,
}

/// What happened on a socket.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole text message; its payload is UTF-8.
    Text(Bytes),
    /// A whole binary message.
    Binary(Bytes),
    /// A ping or pong.
    Alive,
    /// All that was queued is written.
    Flushed,
    /// The peer closed, with this code if it gave one (RFC 6455, 7.1.5).
    Closed(Option<u16>),
    /// The socket is of no more use.
    Failed(Failure),
}

/// Why a socket failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The peer broke RFC 6455; it was told so.
    Protocol,
    /// A message was larger than the limit.
    TooLarge,
    /// The connection broke.
    Io,
}

/// One WebSocket.
#[derive(Debug)]
pub struct Socket {
    inner: WebSocketStream<Stream>,
    unflushed: bool,
    /// The answer to a ping is not written yet.
    answering: bool,
    /// The last message, if it was large.
    large: Bytes,
}

impl Socket {
    /// Takes a stream after the handshake. Messages larger than
    /// `message_limit` bytes fail the socket.
    #[must_use]
    pub fn new(stream: Stream, message_limit: usize) -> Self {
        let limits = Limits::default().max_payload_len(Some(message_limit));
        Self {
            inner: ServerBuilder::new().limits(limits).serve(stream),
            unflushed: false,
            answering: false,
            large: Bytes::new(),
        }
    }

    /// Queues a text message. The payload must be UTF-8.
    pub fn queue_text(&mut self, payload: Bytes) {
        self.queue(Message::text(payload));
    }

    /// Queues a binary message.
    pub fn queue_binary(&mut self, payload: Bytes) {
        self.queue(Message::binary(payload));
    }

    /// Queues an empty ping.
    pub fn queue_ping(&mut self) {
        self.queue(Message::ping(Bytes::new()));
    }

    /// Whether something queued is not written yet.
    #[must_use]
    pub fn is_unflushed(&self) -> bool {
        self.unflushed
    }

    fn queue(&mut self, message: Message) {
        // A socket that is closing takes nothing more; the close is seen by
        // the reader.
        if Pin::new(&mut self.inner).start_send(message).is_ok() {
            self.unflushed = true;
        }
    }

    /// Writes what is queued and waits for the next event.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn event(&mut self, reading: Reading) -> Event {
        poll_fn(|cx| self.poll_event(cx, reading)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>, reading: Reading) -> Poll<Event> {
        if self.unflushed {
            match Pin::new(&mut self.inner).poll_flush(cx) {
                Poll::Ready(Ok(())) => {
                    self.unflushed = false;
                    self.answering = false;
                    return Poll::Ready(Event::Flushed);
                }
                Poll::Ready(Err(_)) => return Poll::Ready(Event::Failed(Failure::Io)),
                Poll::Pending => {}
            }
        }
        if reading == Reading::Paused || self.answering {
            return Poll::Pending;
        }
        // The library reads on into the memory of the last message when nobody
        // holds it, and would keep that of a large one for good.
        let next = Pin::new(&mut self.inner).poll_next(cx);
        self.large = Bytes::new();
        Poll::Ready(match ready!(next) {
            None => Event::Closed(None),
            Some(Ok(message)) => {
                // The library has queued a pong. Nothing is read until it is
                // written, so that a peer that pings and does not read is
                // slowed down instead of filling the queue.
                self.answering = message.is_ping();
                self.unflushed |= self.answering;
                let event = event_of(message);
                if let Event::Text(payload) | Event::Binary(payload) = &event
                    && payload.len() > LARGE
                {
                    self.large = payload.clone();
                }
                event
            }
            Some(Err(Error::Protocol(_))) => Event::Failed(Failure::Protocol),
            Some(Err(Error::PayloadTooLong { .. })) => Event::Failed(Failure::TooLarge),
            Some(Err(_)) => Event::Failed(Failure::Io),
        })
    }

    /// Sends a close frame after what is queued, waits for the peer's and
    /// closes the connection, all before `deadline`. `reason` is cut to the 123
    /// bytes that a close frame can hold.
    ///
    /// The connection is read to its end: a reset, sent for bytes left unread,
    /// would take the close frame away from a peer that is still sending.
    pub async fn close(mut self, code: CloseCode, reason: &str, deadline: Instant) {
        self.queue(close::message(code, reason));
        let closing = async {
            poll_fn(|cx| Pin::new(&mut self.inner).poll_close(cx)).await.map_err(drop)?;
            tokio::io::copy(self.inner.get_mut(), &mut tokio::io::sink()).await.map_err(drop)
        };
        if !matches!(timeout_at(deadline, closing).await, Ok(Ok(_))) {
            tracing::debug!(code = code.as_u16(), "closing handshake was not finished");
        }
    }
}

fn event_of(message: Message) -> Event {
    if message.is_text() {
        return Event::Text(message.into_payload().into());
    }
    if message.is_binary() {
        return Event::Binary(message.into_payload().into());
    }
    match message.as_close() {
        Some((code, _)) if code == tokio_websockets::CloseCode::NO_STATUS_RECEIVED => Event::Closed(None),
        Some((code, _)) => Event::Closed(Some(code.into())),
        None => Event::Alive,
    }
}

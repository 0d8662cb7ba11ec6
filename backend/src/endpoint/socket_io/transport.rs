//! What carries a session: polls, or a WebSocket that is lent to it.

use std::sync::Arc;

use bytes::Bytes;
use prometheus::IntGauge;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::broker::{Item, Kind, OutboxState};
use crate::config::SocketIoConfig;
use crate::endpoint::Services;
use crate::endpoint::carrier::Carrier;
use crate::engine_io::payload::{self, Packets};
use crate::engine_io::{CloseReason, Malformed, Message, Packet, TransportName};
use crate::link::{Link, LinkEvent};
use crate::metrics::Active;
use crate::ws::{CloseCode, Event, Failure, Reading, Socket};

use super::handle::Handle;
use super::member::SessionOutbox;

/// Items written by one system call, or in one answer to a poll.
const BATCH_ITEMS: usize = 32;

/// Bytes that leave the outbox, and its accounting, for one write.
const BATCH_BYTES: usize = 64 * 1024;

/// The close frame of a WebSocket.
pub(super) type Closing = (CloseCode, &'static str);

/// A WebSocket, and the way back to the task that holds its connection. Without
/// one the session's own task holds it.
#[derive(Debug)]
pub(super) struct Lent {
    /// Boxed, since it is moved about.
    pub(super) socket: Box<Socket>,
    back: Option<oneshot::Sender<(Box<Socket>, Closing)>>,
}

impl Lent {
    /// A WebSocket of the session's own.
    pub(super) fn own(socket: Socket) -> Self {
        Self { socket: Box::new(socket), back: None }
    }

    /// Closes the WebSocket; when it was lent, in the task that lent it.
    pub(super) async fn close(self, services: &Services, closing: Closing) {
        match self.back {
            // An error drops the socket: the task that lent it was aborted.
            Some(back) => drop(back.send((self.socket, closing))),
            None => close(*self.socket, services, closing).await,
        }
    }

    /// Closes a WebSocket that was lent, and does not wait.
    pub(super) fn give_back(self, closing: Closing) {
        if let Some(back) = self.back {
            drop(back.send((self.socket, closing)));
        }
    }
}

/// Lends a WebSocket to a session that polls, to be upgraded to. Returns when
/// it is closed.
pub async fn lend(handle: Arc<Handle>, socket: Socket, services: &Services) {
    let _active = Active::new(&services.metrics.websocket_connections_active);
    let (back, returned) = oneshot::channel();
    let (socket, closing) = match handle.offer(Lent { socket: Box::new(socket), back: Some(back) }) {
        Ok(()) => match returned.await {
            Ok(returned) => returned,
            Err(_) => return,
        },
        Err(lent) => (lent.socket, (CloseCode::Normal, "")),
    };
    close(*socket, services, closing).await;
}

async fn close(socket: Socket, services: &Services, (code, reason): Closing) {
    let deadline = Instant::now() + services.config.websocket.close_timeout;
    tokio::select! {
        () = socket.close(code, reason, deadline) => {}
        () = services.lifecycle.aborting().cancelled() => {}
    }
}

/// What the client did.
#[derive(Debug)]
pub(super) enum Happened {
    /// It sent a packet.
    Packet(Result<Packet, Malformed>),
    /// It sent packets together.
    Packets(Packets),
    /// Nothing that the session needs to know.
    Nothing,
    /// The transport is over, with the close frame that it still takes.
    Closed(CloseReason, Option<Closing>),
}

/// Why nothing more can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slow {
    /// Too much waits.
    Buffer,
    /// A write has blocked too long.
    Time,
}

/// The transport of a session.
#[derive(Debug)]
pub(super) enum Transport {
    /// HTTP long polling.
    Polling {
        link: Arc<Link>,
        /// A poll is open and not answered yet.
        writable: bool,
        _active: Active,
    },
    /// A WebSocket.
    WebSocket {
        lent: Lent,
        /// When the write in progress has blocked too long.
        write_deadline: Option<Instant>,
        _active: Active,
    },
}

fn active(services: &Services, transport: TransportName) -> Active {
    let gauge: IntGauge = services.metrics.socket_io.sessions_active.with_label_values(&[transport.as_str()]);
    Active::new(&gauge)
}

impl Transport {
    pub(super) fn polling(services: &Services, handle: &Handle) -> Self {
        let active = active(services, TransportName::Polling);
        Self::Polling { link: Arc::clone(&handle.link), writable: false, _active: active }
    }

    pub(super) fn web_socket(services: &Services, lent: Lent) -> Self {
        let active = active(services, TransportName::WebSocket);
        Self::WebSocket { lent, write_deadline: None, _active: active }
    }

    /// Waits for the client, and writes what is queued.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(super) async fn event(&mut self, reading: Reading) -> Happened {
        match self {
            Self::Polling { link, writable, .. } => {
                let event = link.event(reading == Reading::On).await;
                *writable = match event {
                    LinkEvent::Attached => true,
                    LinkEvent::Detached => false,
                    LinkEvent::Message(payload) => {
                        return Packets::try_new(payload)
                            .map_or_else(|malformed| Happened::Packet(Err(malformed)), Happened::Packets);
                    }
                    LinkEvent::Broken | LinkEvent::Overflowed => {
                        return Happened::Closed(CloseReason::TransportError, None);
                    }
                };
                Happened::Nothing
            }
            Self::WebSocket { lent, write_deadline, .. } => {
                let event = lent.socket.event(reading).await;
                if event == Event::Flushed {
                    *write_deadline = None;
                }
                of_socket(event)
            }
        }
    }

    /// When a blocked write is too slow.
    pub(super) fn write_deadline(&self) -> Option<Instant> {
        match self {
            Self::Polling { .. } => None,
            Self::WebSocket { write_deadline, .. } => *write_deadline,
        }
    }

    /// Whether something from the outbox can be written now.
    pub(super) fn is_writable(&self) -> bool {
        match self {
            Self::Polling { writable, .. } => *writable,
            Self::WebSocket { lent, .. } => !lent.socket.is_unflushed(),
        }
    }

    /// Whether nothing queued is left to write.
    pub(super) fn is_flushed(&self) -> bool {
        match self {
            Self::Polling { .. } => true,
            Self::WebSocket { lent, .. } => !lent.socket.is_unflushed(),
        }
    }

    /// Starts to write what waits, if it can. `last` is appended to the answer
    /// of a poll that takes all there is. Whether `last` was written.
    pub(super) fn write(
        &mut self,
        outbox: &SessionOutbox,
        last: Option<&Packet>,
        config: &SocketIoConfig,
        now: Instant,
    ) -> Result<bool, Slow> {
        if outbox.outbox.state() == OutboxState::Overflowed {
            return Err(Slow::Buffer);
        }
        match self {
            Self::Polling { link, writable, .. } if *writable => {
                let mut batch = Vec::new();
                outbox.outbox.take(&mut batch, BATCH_ITEMS, config.max_http_buffer_size.max(BATCH_BYTES));
                let last = last.filter(|_| outbox.outbox.bytes() == 0);
                if let Some(payload) = encode(batch, last) {
                    // A link that does not take it is closed.
                    link.push(payload);
                    *writable = false;
                }
                Ok(last.is_some())
            }
            Self::WebSocket { write_deadline: Some(deadline), .. } if now >= *deadline => Err(Slow::Time),
            Self::Polling { .. } | Self::WebSocket { write_deadline: Some(_), .. } => Ok(false),
            Self::WebSocket { lent, write_deadline, .. } => {
                let mut batch = Vec::new();
                outbox.outbox.take(&mut batch, BATCH_ITEMS, BATCH_BYTES);
                Carrier::queue(&mut *lent.socket, &mut batch);
                if lent.socket.is_unflushed() {
                    *write_deadline = Some(now + config.send_time_limit);
                }
                Ok(false)
            }
        }
    }

    /// Answers the poll that is open, if one is.
    pub(super) fn release(&mut self, packet: &Packet) {
        if let Self::Polling { link, writable, .. } = self
            && std::mem::take(writable)
        {
            link.push(packet.encode());
        }
    }

    /// Ends it, after what is queued.
    pub(super) async fn close(self, services: &Services, last: &Packet, closing: Option<Closing>) {
        match self {
            Self::Polling { link, writable, .. } => {
                if writable {
                    link.push(last.encode());
                }
                link.close(1000, "");
            }
            Self::WebSocket { lent, .. } => {
                if let Some(closing) = closing {
                    lent.close(services, closing).await;
                }
            }
        }
    }
}

/// The payload of a batch; none when there is nothing.
fn encode(batch: Vec<Item>, last: Option<&Packet>) -> Option<Bytes> {
    let mut encoder = payload::Encoder::default();
    for item in batch {
        match item.kind {
            Kind::Text => encoder.push_text(&item.join()),
            Kind::Binary => encoder.push_binary(&item.join()),
        }
    }
    if let Some(last) = last {
        encoder.push_text(&last.encode());
    }
    (!encoder.is_empty()).then(|| encoder.finish())
}

/// What happened on a WebSocket.
pub(super) fn of_socket(event: Event) -> Happened {
    match event {
        Event::Text(text) => Happened::Packet(Packet::decode(&text)),
        Event::Binary(binary) => Happened::Packet(Ok(Packet::Message(Message::Binary(binary)))),
        Event::Alive | Event::Flushed => Happened::Nothing,
        Event::Closed(_) => Happened::Closed(CloseReason::TransportClose, Some((CloseCode::Normal, ""))),
        Event::Failed(failure) => Happened::Closed(
            CloseReason::TransportError,
            match failure {
                Failure::Protocol => Some((CloseCode::ProtocolError, "protocol error")),
                Failure::TooLarge => Some((CloseCode::MessageTooBig, "message too big")),
                Failure::Io => None,
            },
        ),
    }
}

//! Socket.IO 5 on Engine.IO 4, over WebSocket or polling.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use super::connection::Connector;
use super::cookies::Policy;
use super::failure::Failure;
use super::heart_beat::{HeartBeat, Pulse};
use super::http::Request;
use super::requester::Requester;
use super::web_socket::{self, Closed, How, WebSocket};

/// Between packets of one polling body.
const SEPARATOR: u8 = 0x1e;

/// How packets travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Transport {
    /// A WebSocket from the start.
    Websocket,
    /// GET for packets of the server, POST for those of the client.
    Polling,
}

/// What came.
#[derive(Debug)]
pub(crate) enum Event {
    /// A Socket.IO packet, without the `4` of Engine.IO: `2/chat,["message",…]`.
    Packet(Bytes),
    /// A ping of the server; it is answered unless heart-beats are off.
    Ping,
    /// Nothing comes any more.
    Closed(Closed),
}

/// What the server says when a session opens: only its name is looked at, since it
/// is the server that pings.
#[derive(Debug, Deserialize)]
struct Opened {
    sid: String,
}

/// A client in one namespace.
#[derive(Debug)]
pub(crate) struct SocketIo {
    carrier: Carrier,
    namespace: String,
    heart_beat: HeartBeat,
    pulse: Pulse,
    received: VecDeque<Bytes>,
    closed: Option<Closed>,
}

#[derive(Debug)]
enum Carrier {
    WebSocket(Box<WebSocket>),
    Polling(Box<Polling>),
}

/// A browser polls on one connection and sends on another.
#[derive(Debug)]
struct Polling {
    receiver: Requester,
    sender: Requester,
    path: String,
}

impl SocketIo {
    /// Opens a session at the connector's path (its query is not looked at), and
    /// joins a namespace, `/` or as `/chat`.
    ///
    /// # Errors
    /// How it failed; [`Failure::Status`] when a request is refused, as 400 when
    /// another instance has the session.
    pub(crate) async fn connect(
        connector: &Connector,
        number: usize,
        transport: Transport,
        options: &Options,
    ) -> Result<Self, Failure> {
        let connecting = Self::connect_patiently(connector, number, transport, options);
        timeout(connector.patience(), connecting).await.unwrap_or(Err(Failure::TimedOut))
    }

    async fn connect_patiently(
        connector: &Connector,
        number: usize,
        transport: Transport,
        options: &Options,
    ) -> Result<Self, Failure> {
        let base = connector.uri().path();
        let mut received = VecDeque::new();
        let mut carrier = match transport {
            Transport::Websocket => {
                let path = format!("{base}?EIO=4&transport=websocket");
                let socket = WebSocket::connect_to(connector, number, &path, &[]).await?;
                Carrier::WebSocket(Box::new(socket))
            }
            Transport::Polling => Carrier::Polling(Box::new(Polling {
                receiver: Requester::new(connector, number, options.cookies),
                sender: Requester::new(connector, number, options.cookies),
                path: format!("{base}?EIO=4&transport=polling"),
            })),
        };
        while received.is_empty() {
            carrier.receive(&mut received).await?;
        }
        let packet = received.pop_front().unwrap_or_default();
        let opened: Option<Opened> =
            packet.strip_prefix(b"0").and_then(|json| serde_json::from_slice(json).ok());
        let opened =
            opened.ok_or_else(|| Failure::Protocol(format!("no Engine.IO open packet: {packet:?}")))?;
        if let Carrier::Polling(polling) = &mut carrier {
            polling.path = format!("{}&sid={}", polling.path, opened.sid);
        }
        let every = match options.heart_beat {
            HeartBeat::Every(interval) => interval,
            HeartBeat::Off | HeartBeat::Negotiated(_) => Duration::ZERO,
        };
        let mut client = Self {
            carrier,
            namespace: if options.namespace == "/" {
                String::new()
            } else {
                format!("{},", options.namespace)
            },
            heart_beat: options.heart_beat,
            pulse: Pulse::new(every, Instant::now()),
            received,
            closed: None,
        };
        client.join().await?;
        Ok(client)
    }

    /// Waits for the namespace; events that come before are kept.
    async fn join(&mut self) -> Result<(), Failure> {
        let (joined, refused) = (format!("0{}", self.namespace), format!("4{}", self.namespace));
        let join = format!("40{}", self.namespace);
        self.carrier.send(join.into_bytes()).await?;
        let mut early = Vec::new();
        loop {
            match self.next().await {
                Event::Packet(packet) if packet.starts_with(joined.as_bytes()) => break,
                Event::Packet(packet) if packet.starts_with(refused.as_bytes()) => {
                    return Err(Failure::Protocol(format!("refused: {packet:?}")));
                }
                Event::Packet(packet) => early.push(packet),
                Event::Ping => {}
                Event::Closed(closed) => return Err(closed.into()),
            }
        }
        self.received.extend(early.into_iter().map(|packet| [b"4", packet.as_ref()].concat().into()));
        Ok(())
    }

    /// When the client sent its last ping frame.
    pub(crate) fn beaten(&self) -> Option<Instant> {
        self.pulse.beaten
    }

    /// Queues an event, to be written by [`Self::flush`]; over HTTP it is sent at
    /// once. `arguments` are JSON, `"name",…` without the brackets.
    ///
    /// # Errors
    /// How the session had ended, or the answer to the request was no 200.
    pub(crate) async fn queue_emit(&mut self, arguments: &str) -> Result<(), Closed> {
        let packet = format!("42{}[{arguments}]", self.namespace);
        match &mut self.carrier {
            Carrier::WebSocket(socket) => socket.queue_text(packet).await,
            Carrier::Polling(polling) => polling.send(packet.as_bytes()).await.map_err(Closed::now),
        }
    }

    /// Writes what is queued.
    ///
    /// # Errors
    /// As [`Self::queue_emit`].
    pub(crate) async fn flush(&mut self) -> Result<(), Closed> {
        match &mut self.carrier {
            Carrier::WebSocket(socket) => socket.flush().await,
            Carrier::Polling(_) => Ok(()),
        }
    }

    /// What comes next. After [`Event::Closed`] it is said again.
    ///
    /// # Cancel safety
    /// Safe over a WebSocket. A poll that is dropped may lose what its answer had.
    pub(crate) async fn next(&mut self) -> Event {
        if let Some(closed) = &self.closed {
            return Event::Closed(closed.clone());
        }
        match self.next_or_end().await {
            Ok(event) => event,
            Err(failure) => {
                let closed = self.closed.insert(Closed::now(failure));
                Event::Closed(closed.clone())
            }
        }
    }

    async fn next_or_end(&mut self) -> Result<Event, How> {
        loop {
            if let Some(packet) = self.received.pop_front() {
                match packet.first() {
                    Some(b'4') => return Ok(Event::Packet(packet.slice(1..))),
                    Some(b'2') => {
                        if self.heart_beat != HeartBeat::Off {
                            self.carrier.send(b"3".to_vec()).await?;
                        }
                        return Ok(Event::Ping);
                    }
                    // Of Engine.IO, not of the WebSocket below.
                    Some(b'1') => return Err(How::Fin),
                    _ => continue,
                }
            }
            tokio::select! {
                received = self.carrier.receive(&mut self.received) => received?,
                () = self.pulse.beat() => self.carrier.ping().await?,
            }
        }
    }
}

/// What a client of Socket.IO may choose.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// `/`, or as `/chat`.
    pub(crate) namespace: String,
    pub(crate) heart_beat: HeartBeat,
    /// Of polling.
    pub(crate) cookies: Policy,
}

impl Carrier {
    async fn send(&mut self, packet: Vec<u8>) -> Result<(), How> {
        match self {
            Self::WebSocket(socket) => {
                let text = String::from_utf8(packet).unwrap_or_default();
                socket.send_text(text).await.map_err(|closed| closed.how)
            }
            Self::Polling(polling) => Ok(polling.send(&packet).await?),
        }
    }

    /// A ping frame; polling has none, and each poll shows that the client is there.
    async fn ping(&mut self) -> Result<(), How> {
        match self {
            Self::WebSocket(socket) => socket.ping().await.map_err(|closed| closed.how),
            Self::Polling(_) => Ok(()),
        }
    }

    async fn receive(&mut self, received: &mut VecDeque<Bytes>) -> Result<(), How> {
        match self {
            Self::WebSocket(socket) => loop {
                match socket.next().await {
                    web_socket::Event::Text(payload) => {
                        received.push_back(payload.into());
                        return Ok(());
                    }
                    web_socket::Event::Closed(closed) => return Err(closed.how),
                    _ => {}
                }
            },
            Self::Polling(polling) => {
                let body = polling.poll().await?;
                let packets = body.split(|byte| *byte == SEPARATOR);
                received
                    .extend(packets.filter(|packet| !packet.is_empty()).map(|packet| body.slice_ref(packet)));
                Ok(())
            }
        }
    }
}

impl Polling {
    async fn poll(&mut self) -> Result<Bytes, Failure> {
        let response = self.receiver.request(&Request::get(&self.path)).await?;
        match response.head.status {
            200 => Ok(response.body),
            status => Err(Failure::Status(status)),
        }
    }

    async fn send(&mut self, packet: &[u8]) -> Result<(), Failure> {
        // A browser has one jar for both connections.
        self.sender.jar = self.receiver.jar.clone();
        let headers = [("Content-Type", "text/plain;charset=UTF-8")];
        let request = Request { method: "POST", path: &self.path, headers: &headers, body: packet };
        let response = self.sender.request(&request).await?;
        self.receiver.jar = self.sender.jar.clone();
        match response.head.status {
            200 => Ok(()),
            status => Err(Failure::Status(status)),
        }
    }
}

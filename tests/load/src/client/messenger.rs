//! One client of any protocol, for scenarios that take them all.

use tokio::time::Instant;

use bytes::Bytes;

use super::connection::Connector;
use super::cookies::Policy;
use super::failure::Failure;
use super::heart_beat::{HeartBeat, Pulse};
use super::sock_js::{self, SockJs};
use super::socket_io::{self, SocketIo};
use super::stomp::{self, Carrier, Stomp};
use super::web_socket::{self, Closed, WebSocket};
use crate::target::Protocol;

/// What clients do besides connecting.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// What is spoken; plain is a WebSocket whose messages come back to their
    /// sender.
    pub(crate) protocol: Protocol,
    pub(crate) heart_beat: HeartBeat,
    /// Where messages for everybody go in STOMP.
    pub(crate) destination: String,
    /// Where they go in Socket.IO, as the event `message`: `/`, or as `/chat`.
    pub(crate) namespace: String,
}

/// What came.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A message as it came, with what the protocol wraps it in.
    Delivery(Bytes),
    /// A ping or heart-beat of the server, or its answer to one.
    HeartBeat,
    /// Nothing comes any more.
    Closed(Closed),
}

/// A connected client.
#[derive(Debug)]
pub(crate) struct Messenger {
    client: Client,
    destination: String,
}

#[derive(Debug)]
enum Client {
    WebSocket(Box<WebSocket>, Pulse),
    Stomp(Box<Stomp>),
    SocketIo(Box<SocketIo>),
}

impl Messenger {
    /// Connects, up to the protocol's own handshake.
    ///
    /// # Errors
    /// How it failed.
    pub(crate) async fn connect(
        connector: &Connector,
        number: usize,
        options: &Options,
    ) -> Result<Self, Failure> {
        let heart_beat = options.heart_beat;
        let client = match options.protocol {
            Protocol::Plain => {
                let every = match heart_beat {
                    HeartBeat::Every(interval) => interval,
                    HeartBeat::Off | HeartBeat::Negotiated(_) => std::time::Duration::ZERO,
                };
                let socket = WebSocket::connect(connector, number).await?;
                Client::WebSocket(Box::new(socket), Pulse::new(every, Instant::now()))
            }
            Protocol::Stomp => Client::Stomp(Box::new(Stomp::connect(connector, number, heart_beat).await?)),
            Protocol::SockJs => {
                let transport = sock_js::Transport::Websocket;
                let session = SockJs::connect(connector, number, transport, Policy::Keep).await?;
                let carrier = Carrier::SockJs(Box::new(session));
                Client::Stomp(Box::new(Stomp::on(carrier, connector.patience(), heart_beat).await?))
            }
            Protocol::SocketIo => {
                let namespace = options.namespace.clone();
                let own = socket_io::Options { namespace, heart_beat, cookies: Policy::Keep };
                let transport = socket_io::Transport::Websocket;
                Client::SocketIo(Box::new(SocketIo::connect(connector, number, transport, &own).await?))
            }
        };
        Ok(Self { client, destination: options.destination.clone() })
    }

    /// Listens to what is published, from when this returns on. Who is in a
    /// namespace of Socket.IO hears what is said there anyhow.
    ///
    /// # Errors
    /// How it failed.
    pub(crate) async fn subscribe(&mut self) -> Result<(), Failure> {
        match &mut self.client {
            Client::Stomp(stomp) => stomp.subscribe("0", &self.destination).await,
            Client::WebSocket(..) | Client::SocketIo(_) => Ok(()),
        }
    }

    /// Queues a message for all subscribers. The body must need no escapes in JSON.
    ///
    /// # Errors
    /// How the connection had ended.
    pub(crate) async fn queue(&mut self, body: &str) -> Result<(), Closed> {
        match &mut self.client {
            Client::WebSocket(socket, _) => socket.queue_text(body.to_owned()).await,
            Client::Stomp(stomp) => stomp.queue_send(&self.destination, body).await,
            Client::SocketIo(socket) => socket.queue_emit(&format!(r#""message",{{"text":"{body}"}}"#)).await,
        }
    }

    /// Writes what is queued.
    ///
    /// # Errors
    /// How the connection had ended.
    pub(crate) async fn flush(&mut self) -> Result<(), Closed> {
        match &mut self.client {
            Client::WebSocket(socket, _) => socket.flush().await,
            Client::Stomp(stomp) => stomp.flush().await,
            Client::SocketIo(socket) => socket.flush().await,
        }
    }

    /// When the client sent its last heart-beat of its own.
    pub(crate) fn beaten(&self) -> Option<Instant> {
        match &self.client {
            Client::WebSocket(_, pulse) => pulse.beaten,
            Client::Stomp(stomp) => stomp.beaten(),
            Client::SocketIo(socket) => socket.beaten(),
        }
    }

    /// What comes next; the client's own heart-beats are sent meanwhile.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn next(&mut self) -> Incoming {
        match &mut self.client {
            Client::WebSocket(socket, pulse) => tokio::select! {
                event = socket.next() => of_web_socket(event),
                () = pulse.beat() => match socket.ping().await {
                    Ok(()) => Incoming::HeartBeat,
                    Err(closed) => Incoming::Closed(closed),
                },
            },
            Client::Stomp(stomp) => of_stomp(stomp.next().await),
            Client::SocketIo(socket) => of_socket_io(socket.next().await),
        }
    }
}

fn of_web_socket(event: web_socket::Event) -> Incoming {
    match event {
        web_socket::Event::Text(payload) | web_socket::Event::Binary(payload) => {
            Incoming::Delivery(payload.into())
        }
        web_socket::Event::Ping | web_socket::Event::Pong => Incoming::HeartBeat,
        web_socket::Event::Closed(closed) => Incoming::Closed(closed),
    }
}

fn of_stomp(event: stomp::Event) -> Incoming {
    match event {
        stomp::Event::Frame(frame) => match frame.error() {
            // The server closes after it.
            Some(error) => Incoming::Closed(Closed::now(error)),
            None => Incoming::Delivery(frame.into_bytes()),
        },
        stomp::Event::HeartBeat => Incoming::HeartBeat,
        stomp::Event::Closed(closed) => Incoming::Closed(closed),
    }
}

fn of_socket_io(event: socket_io::Event) -> Incoming {
    match event {
        socket_io::Event::Packet(packet) => Incoming::Delivery(packet),
        socket_io::Event::Ping => Incoming::HeartBeat,
        socket_io::Event::Closed(closed) => Incoming::Closed(closed),
    }
}

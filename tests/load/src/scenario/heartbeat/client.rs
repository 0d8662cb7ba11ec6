//! Clients that tell a heart-beat of the server from everything else.

use std::time::Duration;

use crate::{
    client::{
        connection::Connector,
        cookies::Policy,
        failure::Failure,
        heart_beat::HeartBeat,
        sock_js::{self, SockJs},
        socket_io::{self, SocketIo},
        stomp::{self, Carrier, Stomp},
        web_socket::{self, Closed, WebSocket},
    },
    target::Protocol,
};

/// A client that beats, of any protocol.
#[derive(Debug)]
pub(super) enum Client {
    WebSocket(Box<WebSocket>),
    Stomp(Box<Stomp>),
    SocketIo(Box<SocketIo>),
}

/// What matters of what comes.
#[derive(Debug)]
pub(super) enum Seen {
    ServerBeat,
    Pong,
    Other,
    Closed(Closed),
}

impl Client {
    /// Connects, up to the protocol's own handshake.
    pub(super) async fn connect(
        connector: &Connector,
        number: usize,
        protocol: Protocol,
        every: Duration,
    ) -> Result<Self, Failure> {
        let heart_beat = HeartBeat::Every(every);
        Ok(match protocol {
            Protocol::Plain => Self::WebSocket(Box::new(WebSocket::connect(connector, number).await?)),
            Protocol::Stomp => Self::Stomp(Box::new(Stomp::connect(connector, number, heart_beat).await?)),
            Protocol::SockJs => {
                let transport = sock_js::Transport::Websocket;
                let session = SockJs::connect(connector, number, transport, Policy::Keep).await?;
                let carrier = Carrier::SockJs(Box::new(session));
                Self::Stomp(Box::new(Stomp::on(carrier, connector.patience(), heart_beat).await?))
            }
            Protocol::SocketIo => {
                let options =
                    socket_io::Options { namespace: "/".to_owned(), heart_beat, cookies: Policy::Keep };
                let transport = socket_io::Transport::Websocket;
                Self::SocketIo(Box::new(SocketIo::connect(connector, number, transport, &options).await?))
            }
        })
    }

    /// Sends a heart-beat; those of STOMP and Socket.IO are sent by their clients.
    pub(super) async fn beat(&mut self) -> Result<bool, Closed> {
        match self {
            Self::WebSocket(socket) => socket.ping().await.map(|()| true),
            Self::Stomp(_) | Self::SocketIo(_) => Ok(false),
        }
    }

    /// What comes next.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn next(&mut self) -> Seen {
        match self {
            Self::WebSocket(socket) => match socket.next().await {
                web_socket::Event::Ping => Seen::ServerBeat,
                web_socket::Event::Pong => Seen::Pong,
                web_socket::Event::Closed(closed) => Seen::Closed(closed),
                web_socket::Event::Text(_) | web_socket::Event::Binary(_) => Seen::Other,
            },
            Self::Stomp(stomp) => match stomp.next().await {
                stomp::Event::HeartBeat => Seen::ServerBeat,
                stomp::Event::Frame(_) => Seen::Other,
                stomp::Event::Closed(closed) => Seen::Closed(closed),
            },
            Self::SocketIo(socket) => match socket.next().await {
                socket_io::Event::Ping => Seen::ServerBeat,
                socket_io::Event::Packet(_) => Seen::Other,
                socket_io::Event::Closed(closed) => Seen::Closed(closed),
            },
        }
    }
}

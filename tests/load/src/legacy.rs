//! One client: a WebSocket with STOMP or Socket.IO on it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_websockets::{ClientBuilder, Message, WebSocketStream};

use crate::target::Protocol;

/// Where messages for everybody go, in STOMP.
const TOPIC: &str = "/topic/load";

/// Connections from one local address: there are about 28,000 ports.
const PER_ADDRESS: usize = 20_000;

/// A connected client.
#[derive(Debug)]
pub(crate) struct Client {
    socket: WebSocketStream<TcpStream>,
    protocol: Protocol,
}

impl Client {
    /// Connects; `number` spreads clients over local addresses. Heart-beats of
    /// STOMP are wanted from the server at this interval, if not zero.
    pub(crate) async fn connect(
        url: &str,
        protocol: Protocol,
        number: usize,
        heart_beat: Duration,
    ) -> Result<Self> {
        let uri: http::Uri = url.parse().context("the URL")?;
        let authority = uri.authority().context("a host in the URL")?;
        let server = tokio::net::lookup_host(authority.as_str()).await?.next().context("an address")?;
        let socket = TcpSocket::new_v4()?;
        let last = u8::try_from(1 + number / PER_ADDRESS).context("fewer clients")?;
        socket.bind((IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), 0).into())?;
        let stream = socket.connect(server).await.context("connecting")?;
        stream.set_nodelay(true)?;
        let mut builder = ClientBuilder::from_uri(uri.clone());
        if protocol == Protocol::Stomp {
            let name = http::HeaderValue::from_static("v12.stomp");
            builder = builder.add_header(http::header::SEC_WEBSOCKET_PROTOCOL, name)?;
        }
        let (socket, response) = builder.connect_on(stream).await.context("the WebSocket handshake")?;
        ensure!(response.status() == 101, "the handshake was answered {}", response.status());
        let mut client = Self { socket, protocol };
        match protocol {
            Protocol::Stomp => {
                let beat = heart_beat.as_millis();
                let login = "login:guest\npasscode:guest\n";
                client
                    .send(format!(
                        "CONNECT\naccept-version:1.2\nhost:/\nheart-beat:{beat},{beat}\n{login}\n\0"
                    ))
                    .await?;
                client.expect("CONNECTED").await?;
            }
            Protocol::SocketIo => {
                client.expect("0{").await?;
                client.send("40/chat,".to_owned()).await?;
                client.expect("40/chat,").await?;
            }
            Protocol::Plain | Protocol::SockJs => bail!("only stomp and socket-io are spoken here"),
        }
        Ok(client)
    }

    /// Listens to what is published, from when this returns on.
    pub(crate) async fn subscribe(&mut self) -> Result<()> {
        match self.protocol {
            Protocol::Stomp => {
                self.send(format!("SUBSCRIBE\nid:0\ndestination:{TOPIC}\nreceipt:s\n\n\0")).await?;
                self.expect("RECEIPT").await
            }
            // Who is in the namespace hears what is said in no room.
            Protocol::SocketIo | Protocol::Plain | Protocol::SockJs => Ok(()),
        }
    }

    /// Publishes several messages in one go.
    pub(crate) async fn publish(&mut self, bodies: &[String]) -> Result<()> {
        for body in bodies {
            let text = match self.protocol {
                Protocol::Stomp => {
                    let length = body.len();
                    format!("SEND\ndestination:{TOPIC}\ncontent-length:{length}\n\n{body}\0")
                }
                Protocol::SocketIo | Protocol::Plain | Protocol::SockJs => {
                    format!(r#"42/chat,["message",{{"text":"{body}"}}]"#)
                }
            };
            self.socket.feed(Message::text(text)).await?;
        }
        self.socket.flush().await?;
        Ok(())
    }

    /// The next message that is no heart-beat, ping or receipt.
    pub(crate) async fn delivery(&mut self) -> Result<Message> {
        loop {
            let message = self.next().await?;
            if self.is_delivery(&message) {
                return Ok(message);
            }
            if message.as_text() == Some("2") && self.protocol == Protocol::SocketIo {
                self.send("3".to_owned()).await?;
            }
        }
    }

    fn is_delivery(&self, message: &Message) -> bool {
        let payload = message.as_payload();
        match self.protocol {
            Protocol::Stomp => payload.starts_with(b"MESSAGE"),
            Protocol::SocketIo | Protocol::Plain | Protocol::SockJs => {
                payload.starts_with(b"42/chat,[\"message\"")
            }
        }
    }

    /// Answers heart-beats and pings until the connection ends.
    pub(crate) async fn idle(mut self, heart_beat: Duration) -> Result<()> {
        if self.protocol == Protocol::SocketIo || heart_beat.is_zero() {
            return self.delivery().await.map(drop);
        }
        let mut beat = tokio::time::interval(heart_beat);
        loop {
            tokio::select! {
                _ = beat.tick() => self.send("\n".to_owned()).await?,
                message = self.next() => drop(message?),
            }
        }
    }

    async fn send(&mut self, text: String) -> Result<()> {
        self.socket.send(Message::text(text)).await.context("sending")
    }

    async fn next(&mut self) -> Result<Message> {
        loop {
            let message = self.socket.next().await.context("the server closed")??;
            if let Some((code, reason)) = message.as_close() {
                bail!("the server closed: {} {reason}", u16::from(code));
            }
            if !message.is_ping() && !message.is_pong() {
                return Ok(message);
            }
        }
    }

    async fn expect(&mut self, start: &str) -> Result<()> {
        let message = self.next().await?;
        let text = message.as_text().unwrap_or_default();
        ensure!(text.starts_with(start), "expected {start}, got {text:?}");
        Ok(())
    }
}

//! A WebSocket without a protocol on it (RFC 6455).

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use tokio::time::{Instant, timeout};
use tokio_websockets::{ClientBuilder, CloseCode, Error, Limits, Message, Payload, WebSocketStream};

use super::connection::{Connection, Connector, Timings};
use super::failure::Failure;
use super::http::{Http, Request, says};

/// What the key is hashed with (RFC 6455, section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What came.
#[derive(Debug)]
pub(crate) enum Event {
    Text(Payload),
    Binary(Payload),
    /// It was answered already.
    Ping,
    Pong,
    /// Nothing comes any more.
    Closed(Closed),
}

/// How and when a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) how: How,
    pub(crate) at: Instant,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum How {
    /// With a close frame; the code is 1005 if the frame has none.
    CloseFrame { code: u16, reason: String },
    /// FIN without a close frame: browsers say 1006.
    Fin,
    /// RST: 1006 in browsers too.
    Reset,
    /// In another way.
    Failed(Failure),
}

impl How {
    /// A short name to count by: `close frame 1001`, or that of its kind.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::CloseFrame { code, .. } => format!("close frame {code}"),
            _ => self.kind().into_owned(),
        }
    }

    /// `close frame`, `FIN`, `RST`, or a failure's name.
    pub(crate) fn kind(&self) -> Cow<'static, str> {
        match self {
            Self::CloseFrame { .. } => "close frame".into(),
            Self::Fin => "FIN".into(),
            Self::Reset => "RST".into(),
            Self::Failed(failure) => failure.name(),
        }
    }

    /// What a browser's `close` event has as `code`.
    pub(crate) fn browser_code(&self) -> u16 {
        match self {
            Self::CloseFrame { code, .. } => *code,
            Self::Fin | Self::Reset | Self::Failed(_) => 1006,
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CloseFrame { code, reason } if !reason.is_empty() => {
                write!(formatter, "close frame {code} ({reason})")
            }
            Self::Failed(failure) => write!(formatter, "{failure}"),
            Self::CloseFrame { .. } | Self::Fin | Self::Reset => formatter.write_str(&self.name()),
        }
    }
}

impl From<Failure> for How {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Fin | Failure::Truncated => Self::Fin,
            Failure::Reset => Self::Reset,
            failure => Self::Failed(failure),
        }
    }
}

/// An end while a step waits for an answer.
impl From<How> for Failure {
    fn from(how: How) -> Self {
        match how {
            How::Fin => Self::Fin,
            How::Reset => Self::Reset,
            How::Failed(failure) => failure,
            how @ How::CloseFrame { .. } => Self::Protocol(how.to_string()),
        }
    }
}

impl From<Closed> for Failure {
    fn from(closed: Closed) -> Self {
        closed.how.into()
    }
}

impl Closed {
    /// It ended now.
    pub(super) fn now(how: impl Into<How>) -> Self {
        Self { how: how.into(), at: Instant::now() }
    }
}

/// An open WebSocket. Pings of the server are answered while events are awaited.
#[derive(Debug)]
pub(crate) struct WebSocket {
    stream: WebSocketStream<Connection>,
    closed: Option<Closed>,
}

impl WebSocket {
    /// Connects to the connector's own path.
    ///
    /// # Errors
    /// How connecting or the handshake failed; [`Failure::Status`] when the answer
    /// is not 101.
    pub(crate) async fn connect(connector: &Connector, number: usize) -> Result<Self, Failure> {
        Self::connect_to(connector, number, connector.path(), &[]).await
    }

    /// Connects to a path, with further headers.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub(crate) async fn connect_to(
        connector: &Connector,
        number: usize,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Failure> {
        let http = Http::connect(connector, number).await?;
        let upgrade = Self::upgrade(http, path, headers);
        timeout(connector.patience(), upgrade).await.unwrap_or(Err(Failure::TimedOut))
    }

    /// Upgrades a connection.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub(crate) async fn upgrade(
        mut http: Http,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Failure> {
        let key = STANDARD.encode(rand::random::<[u8; 16]>());
        let own = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", &key),
        ];
        let headers: Vec<_> = own.iter().chain(headers).copied().collect();
        http.send(&Request { method: "GET", path, headers: &headers, body: &[] }).await?;
        let head = http.head("GET").await?;
        if head.status != 101 {
            return Err(Failure::Status(head.status));
        }
        if head.header("sec-websocket-accept") != Some(&accept(&key)) || !says(&head, "upgrade", "websocket")
        {
            return Err(Failure::protocol("a 101 that accepts another handshake"));
        }
        let limits = Limits::default().max_payload_len(Some(64 << 20));
        let stream = ClientBuilder::new().limits(limits).take_over(http.into_connection());
        Ok(Self { stream, closed: None })
    }

    /// How long it took to connect, without the upgrade.
    pub(crate) fn timings(&self) -> Timings {
        self.stream.get_ref().timings()
    }

    /// Sends one text message.
    ///
    /// # Errors
    /// How the connection had ended.
    pub(crate) async fn send_text(&mut self, text: impl Into<Payload>) -> Result<(), Closed> {
        self.send(Message::text(text)).await
    }

    /// Sends a ping frame.
    ///
    /// # Errors
    /// How the connection had ended.
    pub(crate) async fn ping(&mut self) -> Result<(), Closed> {
        self.send(Message::ping("")).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Closed> {
        self.queue(message).await?;
        let sent = self.stream.flush().await;
        self.checked(sent)
    }

    /// Queues a text message, to be written with others by [`Self::flush`], or
    /// earlier when many bytes wait.
    ///
    /// # Errors
    /// How the connection had ended.
    pub(crate) async fn queue_text(&mut self, text: impl Into<Payload>) -> Result<(), Closed> {
        self.queue(Message::text(text)).await
    }

    /// Writes what is queued.
    ///
    /// # Errors
    /// How the connection had ended.
    pub(crate) async fn flush(&mut self) -> Result<(), Closed> {
        let sent = self.stream.flush().await;
        self.checked(sent)
    }

    async fn queue(&mut self, message: Message) -> Result<(), Closed> {
        let queued = self.stream.feed(message).await;
        self.checked(queued)
    }

    fn checked(&mut self, sent: Result<(), Error>) -> Result<(), Closed> {
        sent.map_err(|error| self.closed.get_or_insert_with(|| Closed::now(ended(&error))).clone())
    }

    /// What comes next. After [`Event::Closed`] it is said again.
    ///
    /// # Cancel safety
    /// Safe: no message is lost.
    pub(crate) async fn next(&mut self) -> Event {
        if let Some(closed) = &self.closed {
            return Event::Closed(closed.clone());
        }
        let how = match self.stream.next().await {
            Some(Ok(message)) if message.is_text() => return Event::Text(message.into_payload()),
            Some(Ok(message)) if message.is_binary() => return Event::Binary(message.into_payload()),
            Some(Ok(message)) if message.is_ping() => return Event::Ping,
            Some(Ok(message)) if message.is_pong() => return Event::Pong,
            Some(Ok(message)) => match message.as_close() {
                Some((code, reason)) => How::CloseFrame { code: u16::from(code), reason: reason.to_owned() },
                None => {
                    How::CloseFrame { code: u16::from(CloseCode::NO_STATUS_RECEIVED), reason: String::new() }
                }
            },
            Some(Err(error)) => ended(&error),
            None => How::Fin,
        };
        let closed = self.closed.insert(Closed::now(how));
        Event::Closed(closed.clone())
    }
}

/// What a server answers to a key (RFC 6455, section 4.2.2).
pub(super) fn accept(key: &str) -> String {
    STANDARD.encode(sha1_smol::Sha1::from(format!("{key}{GUID}")).digest().bytes())
}

fn ended(error: &Error) -> How {
    match error {
        Error::Io(error) if error.kind() == std::io::ErrorKind::Other => How::Fin,
        Error::Io(error) => Failure::from(error).into(),
        Error::AlreadyClosed => How::Fin,
        error => How::Failed(Failure::Protocol(error.to_string())),
    }
}

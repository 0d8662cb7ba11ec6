//! STOMP 1.2 on a WebSocket or on SockJS.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::connection::Connector;
use super::failure::Failure;
use super::heart_beat::{HeartBeat, Pulse};
use super::sock_js::{self, SockJs};
use super::web_socket::{self, Closed, WebSocket};

/// What came.
#[derive(Debug)]
pub(crate) enum Event {
    Frame(Frame),
    /// Of STOMP or SockJS.
    HeartBeat,
    /// Nothing comes any more.
    Closed(Closed),
}

/// One frame, read where it lies.
#[derive(Debug, Clone)]
pub(crate) struct Frame(Bytes);

impl Frame {
    /// As `MESSAGE`.
    pub(crate) fn command(&self) -> &str {
        self.lines().next().unwrap_or_default()
    }

    /// The first header of a name, escapes as they came.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.lines().skip(1).map_while(|line| line.split_once(':'));
        headers.find_map(|(key, value)| (key == name).then_some(value))
    }

    /// What an ERROR frame says.
    pub(crate) fn error(&self) -> Option<Failure> {
        let message = (self.command() == "ERROR").then(|| self.header("message").unwrap_or("no message"))?;
        Some(Failure::Protocol(format!("STOMP ERROR: {message}")))
    }

    /// All of it, as it came.
    pub(crate) fn into_bytes(self) -> Bytes {
        self.0
    }

    fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.split(|byte| *byte == b'\n').map(|line| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            str::from_utf8(line).unwrap_or_default()
        })
    }
}

/// What STOMP runs on.
#[derive(Debug)]
pub(crate) enum Carrier {
    WebSocket(Box<WebSocket>),
    SockJs(Box<SockJs>),
}

/// A connected client. It sends its heart-beats while events are awaited.
#[derive(Debug)]
pub(crate) struct Stomp {
    carrier: Carrier,
    pulse: Pulse,
    received: VecDeque<Bytes>,
}

/// The WebSocket subprotocol.
pub(crate) const SUBPROTOCOL: (&str, &str) = ("Sec-WebSocket-Protocol", "v12.stomp");

impl Stomp {
    /// Connects a WebSocket to the connector's path, and STOMP on it.
    ///
    /// # Errors
    /// How it failed; an ERROR frame is [`Failure::Protocol`] with its message.
    pub(crate) async fn connect(
        connector: &Connector,
        number: usize,
        heart_beat: HeartBeat,
    ) -> Result<Self, Failure> {
        let socket = WebSocket::connect_to(connector, number, connector.path(), &[SUBPROTOCOL]).await?;
        Self::on(Carrier::WebSocket(Box::new(socket)), connector.patience(), heart_beat).await
    }

    /// Connects STOMP on what is open.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub(crate) async fn on(
        carrier: Carrier,
        patience: Duration,
        heart_beat: HeartBeat,
    ) -> Result<Self, Failure> {
        let never = Pulse::new(Duration::ZERO, Instant::now());
        let mut stomp = Self { carrier, pulse: never, received: VecDeque::new() };
        let beat = heart_beat.offered().as_millis();
        let frame = format!(
            "CONNECT\naccept-version:1.2\nhost:/\nheart-beat:{beat},{beat}\nlogin:guest\npasscode:guest\n\n\0"
        );
        let connecting = async {
            stomp.queue(frame).await?;
            stomp.flush().await?;
            stomp.expect("CONNECTED").await
        };
        let connected = timeout(patience, connecting).await.unwrap_or(Err(Failure::TimedOut))?;
        let every = match heart_beat {
            HeartBeat::Off => Duration::ZERO,
            HeartBeat::Every(interval) => interval,
            HeartBeat::Negotiated(offered) => agree(offered, connected.header("heart-beat")),
        };
        stomp.pulse = Pulse::new(every, Instant::now());
        Ok(stomp)
    }

    /// When the client sent its last heart-beat.
    pub(crate) fn beaten(&self) -> Option<Instant> {
        self.pulse.beaten
    }

    /// Subscribes, and waits for the receipt.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub(crate) async fn subscribe(&mut self, id: &str, destination: &str) -> Result<(), Failure> {
        self.queue(format!("SUBSCRIBE\nid:{id}\ndestination:{destination}\nreceipt:s-{id}\n\n\0")).await?;
        self.flush().await?;
        self.expect("RECEIPT").await?;
        Ok(())
    }

    /// The same, to be written by [`Self::flush`].
    ///
    /// # Errors
    /// How the connection had ended.
    pub(crate) async fn queue_send(&mut self, destination: &str, body: &str) -> Result<(), Closed> {
        let length = body.len();
        let frame = format!("SEND\ndestination:{destination}\ncontent-length:{length}\n\n{body}\0");
        self.queue(frame).await
    }

    /// Sends one heart-beat.
    ///
    /// # Errors
    /// How the connection had ended.
    pub(crate) async fn beat(&mut self) -> Result<(), Closed> {
        self.queue("\n".to_owned()).await?;
        self.flush().await
    }

    /// What comes next.
    ///
    /// # Cancel safety
    /// Safe on WebSockets.
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            if let Some(received) = self.received.pop_front() {
                return event(received);
            }
            tokio::select! {
                received = self.carrier.receive(&mut self.received) => match received {
                    Ok(true) => {}
                    Ok(false) => return Event::HeartBeat,
                    Err(closed) => return Event::Closed(closed),
                },
                () = self.pulse.beat() => {
                    if let Err(closed) = self.beat().await {
                        return Event::Closed(closed);
                    }
                }
            }
        }
    }

    async fn queue(&mut self, frame: String) -> Result<(), Closed> {
        match &mut self.carrier {
            Carrier::WebSocket(socket) => socket.queue_text(frame).await,
            Carrier::SockJs(session) => session.queue(&frame).await,
        }
    }

    /// Writes what is queued.
    ///
    /// # Errors
    /// How the connection had ended.
    pub(crate) async fn flush(&mut self) -> Result<(), Closed> {
        match &mut self.carrier {
            Carrier::WebSocket(socket) => socket.flush().await,
            Carrier::SockJs(session) => session.flush().await,
        }
    }

    /// Waits for a frame; messages that come before it are kept.
    async fn expect(&mut self, command: &str) -> Result<Frame, Failure> {
        let mut early = Vec::new();
        let frame = loop {
            match self.next().await {
                Event::Frame(frame) if frame.command() == command => break frame,
                Event::Frame(frame) => match frame.error() {
                    Some(error) => return Err(error),
                    None => early.push(frame.0),
                },
                Event::HeartBeat => {}
                Event::Closed(closed) => return Err(closed.into()),
            }
        };
        self.received.extend(early);
        Ok(frame)
    }
}

impl Carrier {
    /// Reads messages, or what shows only that the server is alive.
    async fn receive(&mut self, received: &mut VecDeque<Bytes>) -> Result<bool, Closed> {
        match self {
            Self::WebSocket(socket) => loop {
                match socket.next().await {
                    web_socket::Event::Text(payload) | web_socket::Event::Binary(payload) => {
                        received.push_back(payload.into());
                        return Ok(true);
                    }
                    web_socket::Event::Ping | web_socket::Event::Pong => {}
                    web_socket::Event::Closed(closed) => return Err(closed),
                }
            },
            Self::SockJs(session) => match session.next().await {
                sock_js::Event::Messages(frame) => {
                    let messages = sock_js::messages(&frame).map_err(Closed::now)?;
                    received.extend(messages.into_iter().map(Bytes::from));
                    Ok(true)
                }
                sock_js::Event::HeartBeat => Ok(false),
                sock_js::Event::Closed(closed) => Err(closed),
            },
        }
    }
}

/// Line ends alone are heart-beats; those before a frame belong to none.
fn event(mut received: Bytes) -> Event {
    let ends = received.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
    drop(received.split_to(ends));
    if received.is_empty() { Event::HeartBeat } else { Event::Frame(Frame(received)) }
}

/// How often the client must send, zero for never: the larger of what it can and
/// the server wants, and nothing when either is zero (STOMP 1.2, heart-beating).
fn agree(offered: Duration, header: Option<&str>) -> Duration {
    let wanted = header.and_then(|value| value.split_once(',')?.1.trim().parse().ok()).unwrap_or(0);
    if offered.is_zero() || wanted == 0 { Duration::ZERO } else { offered.max(Duration::from_millis(wanted)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(offered: u64, header: Option<&str>, expected: u64) {
        let agreed = agree(Duration::from_millis(offered), header);
        assert_eq!(agreed, Duration::from_millis(expected));
    }

    #[test]
    fn heart_beats_are_agreed_on() {
        check(10_000, Some("25000,5000"), 10_000);
        check(10_000, Some("0,20000"), 20_000);
        check(10_000, Some("20000,0"), 0);
        check(0, Some("10000,10000"), 0);
        check(10_000, None, 0);
        check(10_000, Some("x"), 0);
    }

    #[test]
    fn frames_are_read_where_they_lie() {
        let Event::Frame(frame) = event(Bytes::from_static(b"\nMESSAGE\na:1\r\nb:2:3\n\nbody\nc:4\0")) else {
            panic!("a frame");
        };
        assert_eq!(frame.command(), "MESSAGE");
        assert_eq!((frame.header("a"), frame.header("b"), frame.header("c")), (Some("1"), Some("2:3"), None));
        assert!(matches!(event(Bytes::from_static(b"\n\r\n")), Event::HeartBeat));
    }
}

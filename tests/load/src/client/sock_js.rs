//! A SockJS session (protocol 0.3.3) over its transports `websocket`, `xhr` and
//! `xhr_streaming`.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use tokio_websockets::Payload;

use super::connection::Connector;
use super::cookies::Policy;
use super::failure::Failure;
use super::http::{Http, Request};
use super::requester::Requester;
use super::web_socket::{self, Closed, How, WebSocket};

/// Longest frame that is kept while it comes in, in bytes.
const MAX_FRAME: usize = 16 * 1024 * 1024;

/// How frames travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Transport {
    /// A WebSocket.
    Websocket,
    /// One POST for each poll.
    Xhr,
    /// One POST whose answer goes on.
    XhrStreaming,
}

/// What came.
#[derive(Debug)]
pub(crate) enum Event {
    /// `h`.
    HeartBeat,
    /// `a[…]` as it came: [`messages`] reads it.
    Messages(Bytes),
    /// `c[…]`, or the transport ended without it.
    Closed(Closed),
}

/// The messages of an `a[…]` frame.
///
/// # Errors
/// When it is no array of strings.
pub(crate) fn messages(frame: &[u8]) -> Result<Vec<String>, Failure> {
    let array = frame.strip_prefix(b"a").unwrap_or(frame);
    serde_json::from_slice(array).map_err(|error| Failure::Protocol(format!("a SockJS frame: {error}")))
}

/// An open session.
#[derive(Debug)]
pub(crate) struct SockJs {
    carrier: Carrier,
    closed: Option<Closed>,
}

#[derive(Debug)]
enum Carrier {
    WebSocket(Box<WebSocket>),
    Xhr(Box<Xhr>),
}

/// Requests of one session: polls or streams on one connection, sends on another.
#[derive(Debug)]
struct Xhr {
    receiver: Requester,
    sender: Requester,
    /// `…/{server}/{session}`.
    base: String,
    transport: Transport,
    streaming: Option<Http>,
    partial: BytesMut,
    frames: VecDeque<Bytes>,
}

impl SockJs {
    /// Opens a session of its own below the connector's path.
    ///
    /// # Errors
    /// How it failed; [`Failure::Status`] when the server refuses.
    pub(crate) async fn connect(
        connector: &Connector,
        number: usize,
        transport: Transport,
        cookies: Policy,
    ) -> Result<Self, Failure> {
        let path = connector.path().trim_end_matches('/');
        let (server, session) = (rand::random_range(0..1000), rand::random::<u64>());
        let base = format!("{path}/{server:03}/{session:016x}");
        let carrier = if transport == Transport::Websocket {
            let path = format!("{base}/websocket");
            Carrier::WebSocket(Box::new(WebSocket::connect_to(connector, number, &path, &[]).await?))
        } else {
            Carrier::Xhr(Box::new(Xhr {
                receiver: Requester::new(connector, number, cookies),
                sender: Requester::new(connector, number, cookies),
                base,
                transport,
                streaming: None,
                partial: BytesMut::new(),
                frames: VecDeque::new(),
            }))
        };
        let mut session = Self { carrier, closed: None };
        let opening = tokio::time::timeout(connector.patience(), session.frame());
        match opening.await.unwrap_or(Err(How::Failed(Failure::TimedOut))) {
            Ok(frame) if *frame == b"o"[..] => Ok(session),
            Ok(frame) => Err(Failure::Protocol(format!("no SockJS open frame: {frame:?}"))),
            Err(how) => Err(how.into()),
        }
    }

    /// Queues one message on a WebSocket; over HTTP it is sent at once.
    ///
    /// # Errors
    /// How the session had ended, or the answer to the request was no 204.
    pub(crate) async fn queue(&mut self, text: &str) -> Result<(), Closed> {
        let array = serde_json::json!([text]).to_string();
        match &mut self.carrier {
            Carrier::WebSocket(socket) => socket.queue_text(array).await,
            Carrier::Xhr(xhr) => xhr.send(&array).await.map_err(Closed::now),
        }
    }

    /// Writes what is queued.
    ///
    /// # Errors
    /// As [`Self::queue`].
    pub(crate) async fn flush(&mut self) -> Result<(), Closed> {
        match &mut self.carrier {
            Carrier::WebSocket(socket) => socket.flush().await,
            Carrier::Xhr(_) => Ok(()),
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
        let how = loop {
            match self.frame().await {
                Ok(frame) => match frame.first() {
                    Some(b'a') => return Event::Messages(frame),
                    Some(b'h') => return Event::HeartBeat,
                    Some(b'c') => break close_frame(&frame),
                    // Nothing.
                    _ => {}
                },
                Err(how) => break how,
            }
        };
        let closed = self.closed.insert(Closed::now(how));
        Event::Closed(closed.clone())
    }

    async fn frame(&mut self) -> Result<Bytes, How> {
        match &mut self.carrier {
            Carrier::WebSocket(socket) => loop {
                match socket.next().await {
                    web_socket::Event::Text(payload) => return Ok(Payload::into(payload)),
                    web_socket::Event::Closed(closed) => return Err(closed.how),
                    _ => {}
                }
            },
            Carrier::Xhr(xhr) => xhr.frame().await.map_err(How::from),
        }
    }
}

impl Xhr {
    async fn send(&mut self, array: &str) -> Result<(), Failure> {
        // A browser has one jar for both connections.
        self.sender.jar = self.receiver.jar.clone();
        let path = format!("{}/xhr_send", self.base);
        let response = self.sender.request(&post(&path, array.as_bytes())).await?;
        self.receiver.jar = self.sender.jar.clone();
        match response.head.status {
            204 => Ok(()),
            status => Err(Failure::Status(status)),
        }
    }

    async fn frame(&mut self) -> Result<Bytes, Failure> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Ok(frame);
            }
            if self.transport == Transport::Xhr {
                let path = format!("{}/xhr", self.base);
                let response = self.receiver.request(&post(&path, b"")).await?;
                if response.head.status != 200 {
                    return Err(Failure::Status(response.head.status));
                }
                self.took(&response.body)?;
            } else {
                self.read_stream().await?;
            }
        }
    }

    async fn read_stream(&mut self) -> Result<(), Failure> {
        let http = match &mut self.streaming {
            Some(http) => http,
            None => {
                let path = format!("{}/xhr_streaming", self.base);
                let (head, http) = self.receiver.stream(&post(&path, b"")).await?;
                if head.status != 200 {
                    return Err(Failure::Status(head.status));
                }
                self.streaming.insert(http)
            }
        };
        match http.piece().await? {
            Some(piece) => self.took(&piece),
            // The server ends a long answer, and the client asks again.
            None => {
                self.streaming = None;
                Ok(())
            }
        }
    }

    fn took(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.partial.extend_from_slice(bytes);
        while let Some(end) = memchr::memchr(b'\n', &self.partial) {
            let mut frame = self.partial.split_to(end + 1).freeze();
            frame.truncate(end);
            // A stream begins with 2048 letters, for browsers that hold short answers back.
            if !frame.starts_with(b"hh") {
                self.frames.push_back(frame);
            }
        }
        if self.partial.len() > MAX_FRAME {
            return Err(Failure::protocol("an endless SockJS frame"));
        }
        Ok(())
    }
}

fn post<'a>(path: &'a str, body: &'a [u8]) -> Request<'a> {
    Request { method: "POST", path, headers: &[("Content-Type", "text/plain")], body }
}

fn close_frame(frame: &[u8]) -> How {
    let array = frame.strip_prefix(b"c").unwrap_or(frame);
    match serde_json::from_slice::<(u16, String)>(array) {
        Ok((code, reason)) => How::CloseFrame { code, reason },
        Err(error) => How::Failed(Failure::Protocol(format!("a SockJS close frame: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read() {
        assert_eq!(messages(br#"a["one","t\u0000wo"]"#).unwrap(), ["one", "t\0wo"]);
        assert!(messages(b"a[1]").is_err());
        let gone = How::CloseFrame { code: 3000, reason: "Go away!".to_owned() };
        assert_eq!(close_frame(br#"c[3000,"Go away!"]"#), gone);
        assert_eq!(close_frame(b"c[]").name(), "protocol");
    }
}

//! A STOMP 1.2 client over a WebSocket, bare or in the frames of SockJS.

use std::collections::VecDeque;

use albeit_e2e::websocket::WebSocket;
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio_websockets::Message;

/// What carries the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    /// Each frame is a message.
    WebSocket,
    /// Each message is a frame of SockJS.
    SockJs,
}

/// A frame of the server.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) command: String,
    headers: Vec<(String, String)>,
    pub(super) body: String,
}

/// An open session.
pub(super) struct Stomp {
    socket: WebSocket,
    carrier: Carrier,
    waiting: VecDeque<String>,
}

impl Frame {
    fn parse(text: &str) -> Result<Self> {
        let (head, body) = text.split_once("\n\n").with_context(|| format!("{text:?}"))?;
        let mut lines = head.lines();
        let command = lines.next().unwrap_or_default().to_owned();
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(Self { command, headers, body: body.trim_end_matches('\0').to_owned() })
    }

    /// The first value of a header; empty if there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(it, _)| it == name).map_or("", |(_, value)| value)
    }

    /// The body as JSON.
    pub(super) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| self.body.clone())
    }
}

impl Stomp {
    /// CONNECT with a token, on a WebSocket that is open.
    pub(super) async fn connect(socket: WebSocket, carrier: Carrier, token: &str) -> Result<Self> {
        let mut session = Self { socket, carrier, waiting: VecDeque::new() };
        if carrier == Carrier::SockJs {
            let open = session.socket.next().await?;
            ensure!(open.as_text() == Some("o"), "{open:?}");
        }
        let authorization = format!("Authorization:Bearer {token}");
        session
            .send("CONNECT", &["accept-version:1.2", "host:localhost", "heart-beat:0,0", &authorization], "")
            .await?;
        let connected = session.next().await?;
        ensure!(connected.command == "CONNECTED", "{connected:?}");
        Ok(session)
    }

    pub(super) async fn send(&mut self, command: &str, headers: &[&str], body: &str) -> Result<()> {
        let frame = format!("{command}\n{}\n\n{body}\0", headers.join("\n"));
        let text = match self.carrier {
            Carrier::WebSocket => frame,
            Carrier::SockJs => Value::from(vec![frame]).to_string(),
        };
        self.socket.send(Message::text(text)).await
    }

    /// Subscribes, and waits until that is in force.
    pub(super) async fn subscribe(&mut self, destination: &str) -> Result<()> {
        let (id, to) = (format!("id:{destination}"), format!("destination:{destination}"));
        self.send("SUBSCRIBE", &[&id, &to, "receipt:subscribed"], "").await?;
        let receipt = self.next().await?;
        ensure!(receipt.command == "RECEIPT", "{receipt:?}");
        Ok(())
    }

    /// The next frame; heart-beats are none.
    pub(super) async fn next(&mut self) -> Result<Frame> {
        loop {
            if let Some(text) = self.waiting.pop_front() {
                if !text.trim().is_empty() {
                    return Frame::parse(&text);
                }
                continue;
            }
            let message = self.socket.next().await?;
            // Pings are none either.
            let Some(text) = message.as_text() else { continue };
            match (self.carrier, text.split_at_checked(1)) {
                (Carrier::WebSocket, _) => self.waiting.push_back(text.to_owned()),
                (Carrier::SockJs, Some(("h", ""))) => {}
                (Carrier::SockJs, Some(("a", array))) => {
                    self.waiting.extend(serde_json::from_str::<Vec<String>>(array)?);
                }
                (Carrier::SockJs, _) => bail!("{text:?}"),
            }
        }
    }

    /// The next MESSAGE.
    pub(super) async fn message(&mut self) -> Result<Frame> {
        let frame = self.next().await?;
        ensure!(frame.command == "MESSAGE", "{frame:?}");
        Ok(frame)
    }
}

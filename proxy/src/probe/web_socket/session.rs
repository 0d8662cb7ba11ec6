//! One open WebSocket that is watched.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rand::Rng as _;
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    super::{
        Ending, Unmeasured,
        answer::Answer,
        connection::{Connection, Dialer},
    },
    frame::{self, Frame, Reading},
};

/// A WebSocket, open until the peer ends it.
pub(super) struct Session {
    connection: Connection,
    /// The answer to the upgrade.
    pub(super) answer: Answer,
    /// Bytes of a data frame that are still to come, and of no interest.
    to_skip: u64,
    /// When the last frame came or went: the 101 at first.
    pub(super) last_traffic: Instant,
    /// When the server's pings came.
    pub(super) pings: Vec<Instant>,
    /// Data frames that came.
    pub(super) messages: usize,
    pub(super) pongs: usize,
}

/// The most pings whose time is kept.
const PINGS_MOST: usize = 1000;

/// What watching came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Watched {
    /// The peer ended the WebSocket.
    Ended(Ending),
    /// Still open at the deadline.
    Open,
}

impl Session {
    /// Opens a WebSocket.
    pub(super) async fn open(dialer: &Dialer<'_>) -> Result<Self, Unmeasured> {
        let mut connection = dialer.connect().await?;
        let key = BASE64_STANDARD.encode(rand::rng().random::<[u8; 16]>());
        let upgrade = format!(
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        );
        let answer = connection.exchange(dialer.get(&upgrade).as_bytes(), dialer.budget).await?;
        if answer.status != 101 {
            return Err(Unmeasured::NoWebSocket(answer.status));
        }
        Ok(Self {
            connection,
            answer,
            to_skip: 0,
            last_traffic: Instant::now(),
            pings: Vec::new(),
            messages: 0,
            pongs: 0,
        })
    }

    /// Answers pings until the peer ends the WebSocket or the deadline comes.
    pub(super) async fn watch(&mut self, deadline: Instant) -> Watched {
        loop {
            if let Some(ending) = self.take_frames().await {
                return Watched::Ended(ending);
            }
            match timeout_at(deadline, self.connection.read()).await {
                Err(_) => return Watched::Open,
                Ok(Some(ending)) => return Watched::Ended(self.take_frames().await.unwrap_or(ending)),
                Ok(None) => {}
            }
        }
    }

    /// Sends a ping, and watches for `limit` or until a pong has come.
    pub(super) async fn ping(&mut self, limit: Duration) -> Ponged {
        let (sent, pongs) = (Instant::now(), self.pongs);
        if let Err(ending) = self.send_ping().await {
            return Ponged::Ended(ending);
        }
        let until_pong = async {
            loop {
                if let Some(ending) = self.take_frames().await {
                    return Ponged::Ended(ending);
                }
                if self.pongs > pongs {
                    return Ponged::After(sent.elapsed());
                }
                if let Some(ending) = self.connection.read().await {
                    return Ponged::Ended(self.take_frames().await.unwrap_or(ending));
                }
            }
        };
        timeout(limit, until_pong).await.unwrap_or(Ponged::Never)
    }

    /// Sends a ping and does not wait for its pong.
    pub(super) async fn send_ping(&mut self) -> Result<(), Ending> {
        self.send(&frame::ping(rand::random())).await
    }

    async fn send(&mut self, frame: &[u8]) -> Result<(), Ending> {
        let sent = self.connection.send(frame).await;
        self.last_traffic = Instant::now();
        sent
    }

    /// Takes all frames that were read. `Some` is a close frame, or the end by a failed write.
    async fn take_frames(&mut self) -> Option<Ending> {
        loop {
            self.skip();
            let (frame, length) = match frame::read(self.connection.unread()) {
                Reading::Partial => return None,
                Reading::Malformed => {
                    let reason = "frames that no server may send".to_owned();
                    return Some(Ending::CloseFrame { code: None, reason });
                }
                Reading::Whole(frame, length) => (frame, length),
            };
            self.to_skip = length;
            self.skip();
            self.last_traffic = Instant::now();
            match frame {
                Frame::Data => self.messages += 1,
                Frame::Pong => self.pongs += 1,
                Frame::Close { code, reason } => return Some(Ending::CloseFrame { code, reason }),
                Frame::Ping(payload) => {
                    if self.pings.len() < PINGS_MOST {
                        self.pings.push(self.last_traffic);
                    }
                    if let Err(ending) = self.send(&frame::pong(&payload, rand::random())).await {
                        return Some(ending);
                    }
                }
            }
        }
    }

    /// Drops what has come of a frame that is of no more interest.
    fn skip(&mut self) {
        let unread = self.connection.unread().len();
        let count = usize::try_from(self.to_skip).unwrap_or(usize::MAX).min(unread);
        self.connection.consume(count);
        self.to_skip -= u64::try_from(count).unwrap_or_default();
    }
}

/// What came of a ping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ponged {
    /// A pong after this time.
    After(Duration),
    /// The peer ended the connection: what has forgotten a connection answers the next packet with RST.
    Ended(Ending),
    /// Nothing.
    Never,
}

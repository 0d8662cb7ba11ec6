//! SockJS frames on a WebSocket.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::{Duration, Instant, sleep_until};

use crate::broker::Item;
use crate::endpoint::{Carrier, Encoding, Services};
use crate::sock_js::{client, frame};
use crate::ws::{CloseCode, Event, Failure, Reading, Socket, Stream};

use super::tally::{Reason, Tally};

/// A byte of a message is six at most as JSON writes it, `\u0000`.
const JSON_GROWTH: usize = 6;

/// A WebSocket whose messages are SockJS frames.
#[derive(Debug)]
pub struct FramedSocket {
    socket: Socket,
    /// Messages of one frame that are not handed on yet. The next frame is read
    /// when there are none.
    inbound: VecDeque<Bytes>,
    message_limit: usize,
    /// None when STOMP has its own.
    heart_beat: Option<Duration>,
    /// When the next one is due.
    heart_beat_at: Instant,
    tally: Tally,
}

impl FramedSocket {
    /// Takes a stream after the handshake, and greets the client.
    #[must_use]
    pub fn new(stream: Stream, services: &Arc<Services>) -> Self {
        let message_limit = services.stomp_message_limit();
        let interval = services.config.sockjs.heartbeat_time;
        let mut socket = Socket::new(stream, message_limit.saturating_mul(JSON_GROWTH));
        socket.queue_text(Bytes::from_static(frame::OPEN));
        Self {
            socket,
            inbound: VecDeque::new(),
            message_limit,
            heart_beat: Some(interval),
            heart_beat_at: Instant::now() + interval,
            tally: Tally::new(services, "websocket"),
        }
    }

    /// Takes the messages of a frame. Returns the end when it cannot be read.
    fn read(&mut self, text: &[u8]) -> Option<Event> {
        match client::array_or_string(text) {
            Ok(messages) => {
                self.inbound = messages.into();
                None
            }
            Err(_) => {
                self.tally.end(Reason::Malformed);
                // The protocol wants it to end without a closing handshake.
                Some(Event::Failed(Failure::Io))
            }
        }
    }

    fn beat(&mut self, interval: Duration) {
        if !self.socket.is_unflushed() {
            self.socket.queue_text(Bytes::from_static(frame::HEART_BEAT));
        }
        self.heart_beat_at = Instant::now() + interval;
    }
}

impl Carrier for FramedSocket {
    fn encoding(&self) -> Encoding {
        Encoding::Json
    }

    fn queue(&mut self, batch: &mut Vec<Item>) {
        if batch.is_empty() {
            return;
        }
        self.socket.queue_text(frame::array(batch.iter().map(|item| [&item.head[..], &item.tail[..]])));
        batch.clear();
        if let Some(interval) = self.heart_beat {
            self.heart_beat_at = Instant::now() + interval;
        }
    }

    fn queue_ping(&mut self) {
        self.socket.queue_ping();
    }

    fn is_unflushed(&self) -> bool {
        self.socket.is_unflushed()
    }

    fn disable_heart_beats(&mut self) {
        self.heart_beat = None;
    }

    async fn event(&mut self, reading: Reading) -> Event {
        loop {
            if reading == Reading::On
                && let Some(message) = self.inbound.pop_front()
            {
                let fits = message.len() <= self.message_limit;
                return if fits { Event::Text(message) } else { Event::Failed(Failure::TooLarge) };
            }
            let heart_beat = self.heart_beat;
            tokio::select! {
                event = self.socket.event(reading) => match event {
                    Event::Text(text) | Event::Binary(text) => {
                        if let Some(failed) = self.read(&text) {
                            return failed;
                        }
                    }
                    Event::Failed(failure) => {
                        self.tally.end(match failure {
                            Failure::Protocol | Failure::TooLarge => Reason::Malformed,
                            Failure::Io => Reason::Interrupted,
                        });
                        return event;
                    }
                    Event::Alive | Event::Flushed | Event::Closed(_) => return event,
                },
                () = sleep_until(self.heart_beat_at), if heart_beat.is_some() => {
                    self.beat(heart_beat.unwrap_or_default());
                }
            }
        }
    }

    async fn close(mut self, code: CloseCode, reason: &str, deadline: Instant) {
        self.socket.queue_text(frame::close(code.as_u16(), reason));
        // The client takes code and reason from the frame.
        self.socket.close(CloseCode::Normal, "", deadline).await;
    }
}

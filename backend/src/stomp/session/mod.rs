//! A STOMP session: frames in, actions out, no I/O.
//!
//! The owner feeds bytes with [`Session::handle_bytes`] and takes what is to be
//! done from [`Session::poll_output`] until it returns `None`. Each frame is
//! first shown as [`Output::Received`], for the owner to [admit](Session::admit)
//! it; whoever the client is, the owner decides as well, on
//! [`Output::Connect`]. A [`Output::Subscribe`], [`Output::Unsubscribe`],
//! [`Output::Send`] or [`Output::Settle`] must be answered by
//! [`Session::accept`] or [`Session::reject`] before the next frame is looked
//! at, so that a receipt always follows the processing of its frame, and frames
//! of one client are processed in order. Meanwhile the owner reads nothing, but
//! keeps the timers: heart-beats flow on.
//!
//! Frames of a transaction wait for its COMMIT and are processed there, one
//! after the other, each with its receipt, that of the COMMIT last. A fault in
//! one of them ends the session; those before it were processed. What is open
//! when the session ends is aborted.

mod acknowledgement;
mod frames;
mod transactions;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::{Duration, Instant};

pub use acknowledgement::{AckMode, Reference, Verdict};
use transactions::Transactions;

use super::codec::{DecodeError, Decoder, Limits};
use super::frame::{Command, Frame, Headers, Version};
use super::heart_beat::{self, HeartBeat};

/// What all sessions of a server share.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bounds of a frame.
    pub limits: Limits,
    /// Subscriptions that one session may hold.
    pub subscription_limit: usize,
    /// Bytes that the frames of open transactions may have together.
    pub transaction_size_limit: usize,
    /// What the server sends and wants.
    pub heart_beat: (Duration, Duration),
    /// Longest time from the handshake to CONNECT.
    pub time_to_first_message: Duration,
    /// A client that wants no heart-beats, or rarer ones, is pinged this often.
    pub ping_interval: Duration,
    /// The `server` header of CONNECTED: `name/version instance`.
    pub server: String,
}

/// Why a session ends; decides the close code of its carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The client sent DISCONNECT.
    Disconnect,
    /// The client broke the protocol.
    ProtocolError,
    /// The client asked for what it may not have.
    Refused,
    /// A frame was larger than the limit.
    TooLarge,
    /// The client was silent too long.
    Unreliable,
}

/// What the owner of a session has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Write these bytes, a frame or a heart-beat.
    Write(Bytes),
    /// Ping on the carrier, where it can.
    Ping,
    /// A frame came, [`Session::received`]: admit it or reject it. Every frame
    /// of the client passes here, before anything is done for it.
    Received,
    /// Find out who the client is, then accept it by
    /// [`Session::accept_connect`], or reject it.
    Connect(Headers),
    /// Register a subscription, then accept or reject.
    Subscribe {
        /// The client's name for it, none only in STOMP 1.0.
        id: Option<String>,
        /// What it listens to.
        destination: String,
        /// Whether its messages are acknowledged, and how.
        ack: AckMode,
        /// All headers of the frame.
        headers: Headers,
    },
    /// Remove a subscription, then accept. The client's name of it, or its
    /// destination in STOMP 1.0.
    Unsubscribe(String),
    /// Route a message, then accept or reject.
    Send(Frame),
    /// Settle a message, then accept or reject.
    Settle(Verdict, Reference),
    /// Write what is left and close.
    Close(Ending),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waiting for CONNECT until the instant.
    Opening(Instant),
    /// The owner decides on CONNECT, which asked for these heart-beats.
    Connecting {
        /// What the client sends and wants.
        heart_beat: (Duration, Duration),
    },
    /// Frames flow.
    Open,
    /// An ending was emitted; nothing more is read.
    Over,
}

/// One client's session.
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
    id: Box<str>,
    decoder: Decoder,
    phase: Phase,
    version: Version,
    heart_beat: HeartBeat,
    /// Last ping, in sessions whose heart-beats are too rare or off.
    last_ping: Instant,
    /// Ids, or destinations in 1.0.
    subscriptions: HashSet<Box<str>>,
    /// While there are any.
    transactions: Option<Box<Transactions>>,
    outputs: VecDeque<Output>,
    /// A frame that is not admitted yet.
    received: Option<Frame>,
    /// The frame being processed by the owner, with its receipt.
    processing: Option<Option<String>>,
}

impl Session {
    /// A session whose carrier was opened at `now`. `id` goes into CONNECTED.
    #[must_use]
    pub fn new(settings: Arc<Settings>, id: &str, now: Instant) -> Self {
        let none = (Duration::ZERO, Duration::ZERO);
        Self {
            id: id.into(),
            decoder: Decoder::new(settings.limits),
            phase: Phase::Opening(now + settings.time_to_first_message),
            version: Version::V1_2,
            heart_beat: HeartBeat::negotiate(none, none, now),
            last_ping: now,
            subscriptions: HashSet::new(),
            transactions: None,
            outputs: VecDeque::new(),
            received: None,
            processing: None,
            settings,
        }
    }

    /// The version agreed on; 1.2 before that.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Bytes from the client, in any portions.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        self.heart_beat.received(now);
        if self.phase != Phase::Over {
            self.decoder.extend(bytes);
        }
    }

    /// The carrier took bytes that were to be written.
    pub fn handle_written(&mut self, now: Instant) {
        self.heart_beat.sent(now);
    }

    /// An instant of [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.phase {
            Phase::Over => {}
            Phase::Opening(deadline) if now >= deadline => {
                self.fail(Ending::Unreliable, "no CONNECT frame in time", "", None);
            }
            // Nothing is read while a frame is processed: the silence is ours.
            _ if self.is_waiting() && self.heart_beat.is_missed(now) => {
                self.heart_beat.received(now);
            }
            _ if self.heart_beat.is_missed(now) => {
                self.fail(Ending::Unreliable, "no heart-beat in time", "", None);
            }
            _ if self.heart_beat.is_due(now) => {
                self.heart_beat.sent(now);
                self.outputs.push_back(Output::Write(Bytes::from_static(heart_beat::BEAT)));
            }
            _ if !self.keeps_alive() && now >= self.last_ping + self.settings.ping_interval => {
                self.last_ping = now;
                self.outputs.push_back(Output::Ping);
            }
            _ => {}
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let opening = match self.phase {
            Phase::Opening(deadline) => Some(deadline),
            Phase::Connecting { .. } | Phase::Open => None,
            Phase::Over => return None,
        };
        let ping = (!self.keeps_alive()).then(|| self.last_ping + self.settings.ping_interval);
        opening.into_iter().chain(ping).chain(self.heart_beat.poll_timeout()).min()
    }

    /// Whether heart-beats of ours alone keep the connection in use, so that no
    /// pings are needed.
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        self.heart_beat.sends_within(self.settings.ping_interval)
    }

    /// Whether the owner has not answered yet.
    fn is_waiting(&self) -> bool {
        self.received.is_some() || self.processing.is_some()
    }

    /// The next thing to do, or `None` until something is handled.
    pub fn poll_output(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return Some(output);
            }
            if self.is_waiting() || self.phase == Phase::Over {
                return None;
            }
            if let Some(work) = self.next_committed() {
                self.perform(work);
                continue;
            }
            match self.decoder.next_frame() {
                Ok(Some(frame)) => {
                    self.received = Some(frame);
                    return Some(Output::Received);
                }
                Ok(None) => return None,
                Err(error) => {
                    let ending = match error {
                        DecodeError::FrameTooLarge(_) => Ending::TooLarge,
                        _ => Ending::ProtocolError,
                    };
                    self.fail(ending, &error.to_string(), "", None);
                }
            }
        }
    }

    /// The frame that waits to be admitted.
    #[must_use]
    pub fn received(&self) -> Option<&Frame> {
        self.received.as_ref()
    }

    /// The frame that was received may be handled.
    pub fn admit(&mut self) {
        if let Some(frame) = self.received.take() {
            self.handle_frame(frame);
        }
    }

    /// The client may connect, as this user if its name is known: CONNECTED is
    /// written, with the headers in Spring's order and then ours.
    pub fn accept_connect(&mut self, now: Instant, user_name: Option<&str>) {
        let Phase::Connecting { heart_beat: client } = self.phase else {
            return;
        };
        self.processing = None;
        self.phase = Phase::Open;
        let server = match self.version {
            // Clients send the header all the same, and then no beats.
            Version::V1_0 => (Duration::ZERO, Duration::ZERO),
            _ => self.settings.heart_beat,
        };
        self.heart_beat = HeartBeat::negotiate(server, client, now);
        let beats = format!("{},{}", server.0.as_millis(), server.1.as_millis());
        let mut connected =
            Frame::new(Command::Connected, [("version", self.version.as_str()), ("heart-beat", &beats)]);
        if let Some(user_name) = user_name {
            connected.headers.push("user-name", user_name);
        }
        connected.headers.push("session", &*self.id);
        connected.headers.push("server", &*self.settings.server);
        self.write(&connected);
    }

    /// The frame handed out last has been processed. The client is expected to
    /// be silent from `now` on, since it may not have been read before.
    pub fn accept(&mut self, now: Instant) {
        self.heart_beat.received(now);
        let receipt = self.processing.take().flatten();
        self.write_receipt(receipt.as_deref());
        if self.outputs.capacity() > 16 && self.outputs.is_empty() {
            self.outputs = VecDeque::new();
        }
    }

    /// The frame handed out last, or received last, cannot be processed: ERROR
    /// and close.
    pub fn reject(&mut self, message: &str, explanation: &str) {
        let receipt = match self.received.take() {
            Some(frame) => frame.headers.value("receipt").map(str::to_owned),
            None => self.processing.take().flatten(),
        };
        self.fail(Ending::Refused, message, explanation, receipt.as_deref());
    }

    /// Hands a frame to the owner and waits for its answer.
    fn process(&mut self, output: Output, receipt: Option<String>) {
        self.processing = Some(receipt);
        self.outputs.push_back(output);
    }

    fn write_receipt(&mut self, receipt: Option<&str>) {
        if let Some(receipt) = receipt {
            self.write(&Frame::new(Command::Receipt, [("receipt-id", receipt)]));
        }
    }

    fn refuse_frame(&mut self, message: &str, receipt: Option<&str>) {
        self.fail(Ending::ProtocolError, message, "", receipt);
    }

    fn fail(&mut self, ending: Ending, message: &str, explanation: &str, receipt: Option<&str>) {
        if self.phase == Phase::Over {
            return;
        }
        let mut error = Frame::new(Command::Error, [("message", message)]);
        if let Some(receipt) = receipt {
            error.headers.push("receipt-id", receipt);
        }
        if !explanation.is_empty() {
            error.headers.push("content-type", "text/plain");
            error.body = Bytes::copy_from_slice(explanation.as_bytes());
        }
        self.write(&error);
        self.end(ending);
    }

    fn write(&mut self, frame: &Frame) {
        self.outputs.push_back(Output::Write(frame.encode(self.version)));
    }

    fn end(&mut self, ending: Ending) {
        self.phase = Phase::Over;
        self.outputs.push_back(Output::Close(ending));
    }
}

#[cfg(test)]
mod tests;

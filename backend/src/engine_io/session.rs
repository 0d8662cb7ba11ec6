//! One session: its heart-beat, and the upgrade from polling to WebSocket.
//!
//! Call [`Session::handle_timeout`] when [`Session::poll_timeout`] is reached,
//! and drain [`Session::poll_output`] after every other call.

use std::collections::VecDeque;

use bytes::Bytes;
use serde_json::json;
use tokio::time::{Duration, Instant};

use super::handshake::TransportName;
use super::packet::{Malformed, Message, Packet};

/// What the packets of an upgrade carry.
const PROBE: &[u8] = b"probe";

/// A poll that waits while a WebSocket is probed is answered this often, since
/// the client upgrades only when none is open.
const RELEASE_INTERVAL: Duration = Duration::from_millis(100);

/// What the sessions of a server share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// From the opening, or a pong, to the next ping.
    pub ping_interval: Duration,
    /// Longest time from a ping to its pong.
    pub ping_timeout: Duration,
    /// Longest time from the opening of a second transport to its upgrade.
    pub upgrade_timeout: Duration,
    /// Most bytes that the client may send at once.
    pub max_payload: usize,
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The client closed it, or its transport.
    TransportClose,
    /// The transport was used in a way that is not allowed, or broke.
    TransportError,
    /// A pong is missing.
    PingTimeout,
    /// The client sent no packet.
    ParseError,
}

impl CloseReason {
    /// As the reference server calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::PingTimeout => "ping timeout",
            Self::ParseError => "parse error",
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a packet, after those that wait.
    Send(Packet),
    /// The client sent this.
    Message(Message),
    /// Send a packet on the WebSocket that is probed.
    Probe(Packet),
    /// Answer the poll that is open, if one is, with [`Packet::Noop`] unless
    /// something better waits.
    ReleasePoll,
    /// The probed WebSocket is the transport from now on.
    Switch,
    /// The probed WebSocket is of no use: close it.
    DropProbe,
    /// The session is over. Nothing comes after this.
    Close(CloseReason),
}

/// How far an upgrade is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upgrade {
    /// None has begun, or the last one failed.
    None,
    /// There is a WebSocket, which has until then.
    Offered(Instant),
    /// It answered; a poll is released at the second instant.
    Probed { deadline: Instant, release: Instant },
    /// The transport is a WebSocket.
    Done,
}

/// One session.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    upgrade: Upgrade,
    /// When to ping; none while a pong is awaited.
    ping_at: Option<Instant>,
    /// When the pong is missing.
    pong_by: Option<Instant>,
    /// The deadline was moved for another sign of life.
    extended: bool,
    outputs: VecDeque<Output>,
    closed: bool,
}

impl Session {
    /// A session that begins on a transport; its first output is the open
    /// packet.
    #[must_use]
    pub fn new(settings: Settings, sid: &str, transport: TransportName, now: Instant) -> Self {
        let (upgrade, upgrades) = match transport {
            TransportName::Polling => (Upgrade::None, &["websocket"][..]),
            TransportName::WebSocket => (Upgrade::Done, &[][..]),
        };
        let open = json!({
            "sid": sid,
            "upgrades": upgrades,
            "pingInterval": millis(settings.ping_interval),
            "pingTimeout": millis(settings.ping_timeout),
            "maxPayload": settings.max_payload,
        });
        let open = Packet::Open(open.to_string().into());
        Self {
            upgrade,
            ping_at: Some(now + settings.ping_interval),
            pong_by: None,
            extended: false,
            outputs: VecDeque::from([Output::Send(open)]),
            closed: false,
            settings,
        }
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let upgrade = match self.upgrade {
            Upgrade::None | Upgrade::Done => None,
            Upgrade::Offered(deadline) => Some(deadline),
            Upgrade::Probed { deadline, release } => Some(deadline.min(release)),
        };
        let timers = self.ping_at.into_iter().chain(self.pong_by).chain(upgrade);
        if self.closed { None } else { timers.min() }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        if self.pong_by.is_some_and(|at| now >= at) {
            self.close(CloseReason::PingTimeout);
            return;
        }
        if self.ping_at.is_some_and(|at| now >= at) {
            self.ping_at = None;
            self.pong_by = Some(now + self.settings.ping_timeout);
            self.extended = false;
            self.outputs.push_back(Output::Send(Packet::Ping(Bytes::new())));
        }
        match self.upgrade {
            Upgrade::Offered(deadline) | Upgrade::Probed { deadline, .. } if now >= deadline => {
                self.drop_probe();
            }
            Upgrade::Probed { deadline, release } if now >= release => {
                self.outputs.push_back(Output::ReleasePoll);
                self.upgrade = Upgrade::Probed { deadline, release: now + RELEASE_INTERVAL };
            }
            Upgrade::None | Upgrade::Offered(_) | Upgrade::Probed { .. } | Upgrade::Done => {}
        }
    }

    /// A packet came on the transport.
    pub fn handle_packet(&mut self, now: Instant, packet: Result<Packet, Malformed>) {
        if self.closed {
            return;
        }
        let is_pong = matches!(packet, Ok(Packet::Pong(_)));
        if self.pong_by.is_some() && !self.extended && !is_pong {
            // The client lives, though its pong is behind other packets.
            self.pong_by = Some(now + self.settings.ping_timeout);
            self.extended = true;
        }
        match packet {
            Ok(Packet::Message(message)) => self.outputs.push_back(Output::Message(message)),
            Ok(Packet::Pong(_)) => {
                self.pong_by = None;
                self.ping_at = Some(now + self.settings.ping_interval);
            }
            Ok(Packet::Close) => self.close(CloseReason::TransportClose),
            // Only the server pings.
            Ok(Packet::Ping(_)) => self.close(CloseReason::TransportError),
            // Of no meaning here, and no harm.
            Ok(Packet::Open(_) | Packet::Upgrade | Packet::Noop) => {}
            Err(_) => self.close(CloseReason::ParseError),
        }
    }

    /// The transport closed, or was used against the rules.
    pub fn handle_closed(&mut self, reason: CloseReason) {
        self.close(reason);
    }

    /// A WebSocket for this session was opened. Whether it is wanted: there is
    /// one upgrade at a time, and none after it.
    #[must_use]
    pub fn handle_offer(&mut self, now: Instant) -> bool {
        let wanted = self.upgrade == Upgrade::None && !self.closed;
        if wanted {
            self.upgrade = Upgrade::Offered(now + self.settings.upgrade_timeout);
        }
        wanted
    }

    /// A packet came on the probed WebSocket.
    pub fn handle_probe(&mut self, now: Instant, packet: Result<Packet, Malformed>) {
        let deadline = match self.upgrade {
            Upgrade::Offered(deadline) | Upgrade::Probed { deadline, .. } => deadline,
            Upgrade::None | Upgrade::Done => return,
        };
        match packet {
            // Once: the answers to more would wait for a client that does not read.
            Ok(Packet::Ping(data)) if data == PROBE && matches!(self.upgrade, Upgrade::Offered(_)) => {
                self.outputs.push_back(Output::Probe(Packet::Pong(data)));
                self.outputs.push_back(Output::ReleasePoll);
                self.upgrade = Upgrade::Probed { deadline, release: now + RELEASE_INTERVAL };
            }
            Ok(Packet::Upgrade) => {
                self.upgrade = Upgrade::Done;
                if self.pong_by.is_some() {
                    // The ping may have gone to the old transport.
                    self.pong_by = Some(now + self.settings.ping_timeout);
                }
                self.outputs.push_back(Output::Switch);
            }
            Ok(_) | Err(_) => self.drop_probe(),
        }
    }

    /// The probed WebSocket is gone.
    pub fn handle_probe_closed(&mut self) {
        self.drop_probe();
    }

    fn drop_probe(&mut self) {
        if matches!(self.upgrade, Upgrade::Offered(_) | Upgrade::Probed { .. }) {
            self.upgrade = Upgrade::None;
            self.outputs.push_back(Output::DropProbe);
        }
    }

    fn close(&mut self, reason: CloseReason) {
        if !self.closed {
            self.closed = true;
            self.outputs.push_back(Output::Close(reason));
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

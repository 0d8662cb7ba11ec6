//! The ways in which a session ends.

use crate::engine_io::{CloseReason, Packet};
use crate::socket_io::Fault;
use crate::ws::CloseCode;

use super::transport::Closing;

/// How a session ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    /// What gateways are told.
    pub(super) reason: &'static str,
    /// What is counted.
    pub(super) counted: &'static str,
    /// For a WebSocket that still takes it.
    pub(super) closing: Option<Closing>,
    /// Whether what waits is sent before.
    pub(super) patience: Patience,
}

/// Whether a session ends before or after all is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    Flush,
    AtOnce,
}

impl Ending {
    pub(super) fn of_engine(reason: CloseReason, closing: Option<Closing>) -> Self {
        let (counted, default) = match reason {
            CloseReason::TransportClose => ("transport_close", (CloseCode::Normal, "")),
            CloseReason::TransportError => ("transport_error", (CloseCode::ProtocolError, "protocol error")),
            CloseReason::PingTimeout => ("ping_timeout", (CloseCode::Normal, "ping timeout")),
            CloseReason::ParseError => ("parse_error", (CloseCode::ProtocolError, "parse error")),
        };
        let closing = closing.or(Some(default));
        Self { reason: reason.as_str(), counted, closing, patience: Patience::AtOnce }
    }

    pub(super) fn of_fault(fault: Fault) -> Self {
        let text = match fault {
            Fault::Malformed(_) => "malformed packet",
            Fault::State => "packet at the wrong time",
            Fault::ConnectTimeout => "no namespace joined",
        };
        Self {
            reason: "forced server close",
            counted: "protocol",
            closing: Some((CloseCode::ProtocolError, text)),
            patience: Patience::Flush,
        }
    }

    pub(super) fn leaving(closing: Closing) -> Self {
        Self {
            reason: "server shutting down",
            counted: "server",
            closing: Some(closing),
            patience: Patience::Flush,
        }
    }

    pub(super) fn slow() -> Self {
        Self {
            reason: "transport error",
            counted: "slow_consumer",
            closing: Some((CloseCode::NotReliable, "session not reliable")),
            patience: Patience::AtOnce,
        }
    }

    pub(super) fn too_fast() -> Self {
        Self {
            reason: "forced server close",
            counted: "limit",
            closing: Some((CloseCode::PolicyViolation, "rate limit exceeded")),
            patience: Patience::AtOnce,
        }
    }

    pub(super) fn stale() -> Self {
        Self {
            reason: "heartbeat timeout",
            counted: "stale",
            closing: Some((CloseCode::Normal, "heartbeats unanswered")),
            patience: Patience::AtOnce,
        }
    }

    /// What a poll that is open is answered with.
    pub(super) fn last(&self) -> Packet {
        // The client that closes its session wants its poll back, no more.
        if self.counted == "transport_close" { Packet::Noop } else { Packet::Close }
    }
}

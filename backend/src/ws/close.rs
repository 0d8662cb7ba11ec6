//! Close codes (RFC 6455, 7.4.1, and Spring's 4500).

use tokio_websockets::Message;

/// Bytes of a reason that fit into a close frame next to its code.
const REASON_LIMIT: usize = 123;

/// Why the server closes a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseCode {
    /// 1000: the session is over.
    Normal,
    /// 1001: the server goes away.
    GoingAway,
    /// 1002: the client broke the protocol.
    ProtocolError,
    /// 1008: the client may not do that.
    PolicyViolation,
    /// 1009: a message was too big.
    MessageTooBig,
    /// 1012: the server restarts.
    ServiceRestart,
    /// 4500: Spring's "session not reliable", for slow or silent clients.
    NotReliable,
}

impl CloseCode {
    /// The number on the wire.
    #[must_use]
    pub fn as_u16(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::GoingAway => 1001,
            Self::ProtocolError => 1002,
            Self::PolicyViolation => 1008,
            Self::MessageTooBig => 1009,
            Self::ServiceRestart => 1012,
            Self::NotReliable => 4500,
        }
    }
}

/// The close frame.
pub(super) fn message(code: CloseCode, reason: &str) -> Message {
    let end = reason.floor_char_boundary(REASON_LIMIT);
    let code = tokio_websockets::CloseCode::try_from(code.as_u16()).ok();
    Message::close(code, reason.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let message = message(CloseCode::NotReliable, &"ä".repeat(100));
        let (code, reason) = message.as_close().unwrap();
        assert_eq!((u16::from(code), reason.len()), (4500, 122));
    }
}

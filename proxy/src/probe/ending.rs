//! How a peer ends a connection.

use std::{fmt, io};

/// How a peer ended a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// With FIN, in good order; of a WebSocket: without a close frame, which clients report as code 1006.
    Fin,
    /// With RST.
    Reset,
    /// With a close frame of a WebSocket (RFC 6455 section 5.5.1).
    CloseFrame {
        /// The close code; `None` for a frame without one.
        code: Option<u16>,
        /// The reason, often empty.
        reason: String,
    },
}

impl Ending {
    /// What an error of reading or writing says of the peer.
    ///
    /// The end of a TLS connection without its close notification is a FIN all the same.
    pub(super) fn of(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Fin } else { Self::Reset }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fin => f.write_str("FIN"),
            Self::Reset => f.write_str("RST"),
            Self::CloseFrame { code: None, .. } => f.write_str("a close frame without a code"),
            Self::CloseFrame { code: Some(code), reason } if reason.is_empty() => {
                write!(f, "a close frame with code {code}")
            }
            Self::CloseFrame { code: Some(code), reason } => {
                write!(f, "a close frame with code {code} ({reason})")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_without_close_notification_is_a_fin() {
        assert_eq!(Ending::of(&io::ErrorKind::UnexpectedEof.into()), Ending::Fin);
        assert_eq!(Ending::of(&io::ErrorKind::ConnectionReset.into()), Ending::Reset);
        assert_eq!(Ending::of(&io::ErrorKind::BrokenPipe.into()), Ending::Reset);
    }

    #[test]
    fn a_close_frame_says_its_code() {
        let ending = Ending::CloseFrame { code: Some(1001), reason: "going away".to_owned() };
        assert_eq!(ending.to_string(), "a close frame with code 1001 (going away)");
    }
}

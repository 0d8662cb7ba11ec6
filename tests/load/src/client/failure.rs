//! How a connection or a request failed, as a client sees it.

use std::borrow::Cow;
use std::io::{self, ErrorKind};

/// Why there is no connection, no answer, or no connection any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// Nobody listens there (RST to the SYN).
    #[error("connection refused")]
    Refused,
    /// RST on an open connection.
    #[error("connection reset")]
    Reset,
    /// FIN where more was due: before an answer, or without a close frame.
    #[error("connection closed")]
    Fin,
    /// FIN or RST in the middle of an answer.
    #[error("answer cut short")]
    Truncated,
    /// Nothing came in time.
    #[error("no answer in time")]
    TimedOut,
    /// The TLS handshake failed.
    #[error("TLS: {0}")]
    Tls(String),
    /// The answer has a status that the step does not expect.
    #[error("answered {0}")]
    Status(u16),
    /// What came is not what the protocol says.
    #[error("{0}")]
    Protocol(String),
    /// This machine has no port or descriptor left: not the server's fault.
    #[error("no local port or descriptor left: {0}")]
    Local(ErrorKind),
    /// Another error of the network.
    #[error("network: {0}")]
    Network(ErrorKind),
}

impl Failure {
    /// A short name to count by: `refused`, `reset`, `fin`, `truncated`, `timeout`,
    /// `tls`, `status 502`, `protocol`, `local`, `network`.
    pub(crate) fn name(&self) -> Cow<'static, str> {
        match self {
            Self::Refused => "refused".into(),
            Self::Reset => "reset".into(),
            Self::Fin => "fin".into(),
            Self::Truncated => "truncated".into(),
            Self::TimedOut => "timeout".into(),
            Self::Tls(_) => "tls".into(),
            Self::Status(status) => format!("status {status}").into(),
            Self::Protocol(_) => "protocol".into(),
            Self::Local(_) => "local".into(),
            Self::Network(_) => "network".into(),
        }
    }

    /// The protocol was broken in this way.
    pub(crate) fn protocol(what: impl Into<String>) -> Self {
        Self::Protocol(what.into())
    }
}

/// Descriptors of this process, or of the machine, are used up.
const OUT_OF_DESCRIPTORS: [i32; 2] = [24, 23];

impl From<&io::Error> for Failure {
    fn from(error: &io::Error) -> Self {
        if error.raw_os_error().is_some_and(|code| OUT_OF_DESCRIPTORS.contains(&code)) {
            return Self::Local(error.kind());
        }
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            // Writing to a connection whose RST was read already.
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => Self::Reset,
            ErrorKind::UnexpectedEof => Self::Fin,
            ErrorKind::TimedOut => Self::TimedOut,
            kind @ (ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable) => Self::Local(kind),
            // rustls tells of its errors so.
            ErrorKind::InvalidData => Self::Tls(error.to_string()),
            kind => Self::Network(kind),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::from(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: io::Error, name: &str) {
        assert_eq!(Failure::from(error).name(), name);
    }

    #[test]
    fn errors_of_the_system_have_names() {
        check(ErrorKind::ConnectionRefused.into(), "refused");
        check(ErrorKind::ConnectionReset.into(), "reset");
        check(ErrorKind::BrokenPipe.into(), "reset");
        check(ErrorKind::UnexpectedEof.into(), "fin");
        check(ErrorKind::AddrNotAvailable.into(), "local");
        check(io::Error::from_raw_os_error(24), "local");
        check(ErrorKind::HostUnreachable.into(), "network");
    }

    #[test]
    fn statuses_are_told_apart() {
        assert_eq!(Failure::Status(502).name(), "status 502");
    }
}

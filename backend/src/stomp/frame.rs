//! A STOMP frame: command, headers, body; and how it is written.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

/// A protocol version, which decides how headers are escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// STOMP 1.0: nothing is escaped.
    V1_0,
    /// STOMP 1.1: `\n`, `\c` and `\\`.
    V1_1,
    /// STOMP 1.2: adds `\r`.
    V1_2,
}

impl Version {
    /// Every version served, lowest first.
    pub const ALL: [Self; 3] = [Self::V1_0, Self::V1_1, Self::V1_2];
    /// The versions served, as the `version` header of an ERROR lists them.
    pub const SUPPORTED: &'static str = "1.0,1.1,1.2";

    /// As the `version` header writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
        }
    }

    /// The highest version that an `accept-version` header and we have in
    /// common. No header means 1.0 (STOMP 1.2, "Protocol Negotiation").
    #[must_use]
    pub fn negotiate(accept_version: Option<&str>) -> Option<Self> {
        let Some(accepted) = accept_version else {
            return Some(Self::V1_0);
        };
        let offers = |version: Self| accepted.split(',').any(|v| v.trim() == version.as_str());
        Self::ALL.into_iter().rev().find(|&version| offers(version))
    }
}

macro_rules! commands {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// The command of a frame. Case-sensitive.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Command { $($(#[$doc])* $variant,)* }

        impl Command {
            /// The command with this name.
            #[must_use]
            pub fn from_bytes(text: &[u8]) -> Option<Self> {
                $(if text == $text.as_bytes() { return Some(Self::$variant); })*
                None
            }

            /// As it stands on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

commands! {
    /// Client: open the session.
    Connect = "CONNECT",
    /// Client: the same, from 1.1 on.
    Stomp = "STOMP",
    /// Server: the session is open.
    Connected = "CONNECTED",
    /// Client: a message for a destination.
    Send = "SEND",
    /// Client: listen to a destination.
    Subscribe = "SUBSCRIBE",
    /// Client: stop listening.
    Unsubscribe = "UNSUBSCRIBE",
    /// Client: a message was consumed.
    Ack = "ACK",
    /// Client: a message was not consumed.
    Nack = "NACK",
    /// Client: start a transaction.
    Begin = "BEGIN",
    /// Client: finish a transaction.
    Commit = "COMMIT",
    /// Client: roll a transaction back.
    Abort = "ABORT",
    /// Client: the session is over.
    Disconnect = "DISCONNECT",
    /// Server: a message of a subscription.
    Message = "MESSAGE",
    /// Server: a frame was processed.
    Receipt = "RECEIPT",
    /// Server: a fault; the connection closes.
    Error = "ERROR",
}

impl Command {
    /// Whether headers are escaped: in all frames but those that open the
    /// session, which stay readable to 1.0.
    #[must_use]
    pub fn escapes_headers(self) -> bool {
        !matches!(self, Self::Connect | Self::Stomp | Self::Connected)
    }

    /// Whether the specification allows a body.
    #[must_use]
    pub fn may_have_body(self) -> bool {
        matches!(self, Self::Send | Self::Message | Self::Error)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Headers in the order received. Where a name is repeated the first one counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The value that counts for this name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// Adds a header after the others.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// All headers in order, repeated ones included.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The number of headers, repeated ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        Self(headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// A whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it asks or tells.
    pub command: Command,
    /// Unescaped, without the `content-length` that [`Frame::encode`] adds.
    pub headers: Headers,
    /// Any octets, NUL included.
    pub body: Bytes,
}

impl Frame {
    /// A frame without a body.
    #[must_use]
    pub fn new<const N: usize>(command: Command, headers: [(&str, &str); N]) -> Self {
        Self { command, headers: headers.into_iter().collect(), body: Bytes::new() }
    }

    /// The bytes of the frame. `content-length` is added when there is a body
    /// and for MESSAGE and ERROR, as Spring does.
    #[must_use]
    pub fn encode(&self, version: Version) -> Bytes {
        let mut out = BytesMut::with_capacity(64 + self.body.len() + self.headers.len() * 32);
        out.put_slice(self.command.as_str().as_bytes());
        out.put_u8(b'\n');
        let version = if self.command.escapes_headers() { version } else { Version::V1_0 };
        for (name, value) in self.headers.iter() {
            put_header(&mut out, version, name, value);
        }
        let counted = matches!(self.command, Command::Message | Command::Error);
        if counted || !self.body.is_empty() {
            put_header(&mut out, version, "content-length", &self.body.len().to_string());
        }
        put_body(&mut out, &self.body);
        out.freeze()
    }
}

/// Appends one header line, escaped for `version`. A version 1.0 value keeps
/// its text up to the first line end, since 1.0 cannot express more; a name with
/// a colon would be another name and is left out, as is one of which nothing is
/// left.
pub fn put_header(out: &mut BytesMut, version: Version, name: &str, value: &str) {
    if version == Version::V1_0 && name.contains(':') {
        return;
    }
    let start = out.len();
    put_escaped(out, version, name);
    if out.len() > start {
        out.put_u8(b':');
        put_escaped(out, version, value);
        out.put_u8(b'\n');
    }
}

/// Appends a header line without its end: more of the value follows.
pub fn put_header_start(out: &mut BytesMut, version: Version, name: &str, value: &str) {
    put_escaped(out, version, name);
    out.put_u8(b':');
    put_escaped(out, version, value);
}

/// Appends the blank line, the body and the closing NUL.
pub fn put_body(out: &mut BytesMut, body: &[u8]) {
    out.reserve(body.len() + 2);
    out.put_u8(b'\n');
    out.put_slice(body);
    out.put_u8(0);
}

fn put_escaped(out: &mut BytesMut, version: Version, text: &str) {
    for byte in text.bytes() {
        let escape: &[u8] = match (byte, version) {
            (b'\n', Version::V1_0) => return,
            (b'\n', _) => b"\\n",
            (b':', Version::V1_1 | Version::V1_2) => b"\\c",
            (b'\\', Version::V1_1 | Version::V1_2) => b"\\\\",
            (b'\r', Version::V1_2) => b"\\r",
            // Would be taken for part of the line end.
            (b'\r', _) => continue,
            _ => {
                out.put_u8(byte);
                continue;
            }
        };
        out.put_slice(escape);
    }
}

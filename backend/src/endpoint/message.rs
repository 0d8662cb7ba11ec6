//! A message on its way from a SEND or a handler to the subscribers, written as
//! STOMP.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};

use crate::broker::{Dialect, Encode, Kind};
use crate::stomp::Version;
use crate::stomp::frame::{put_body, put_header};

use super::carrier::Encoding;

/// Headers of a SEND that are not for subscribers: they belong to the sender's
/// session, are written anew, or are secrets.
const PRIVATE_HEADERS: [&str; 15] = [
    "ack",
    "authorization",
    "content-length",
    "destination",
    "heart-beat",
    "history",
    "id",
    "login",
    "message-id",
    "passcode",
    "receipt",
    "receipt-id",
    "subscription",
    "token",
    "transaction",
];

/// A message for the subscribers of a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    destination: String,
    headers: Vec<(String, String)>,
    body: Bytes,
    kind: Kind,
}

impl Content {
    /// A message with headers as they are.
    #[must_use]
    pub fn new(destination: String, headers: Vec<(String, String)>, body: Bytes) -> Self {
        let kind = match std::str::from_utf8(&body) {
            Ok(_) => Kind::Text,
            Err(_) => Kind::Binary,
        };
        Self { destination, headers, body, kind }
    }

    /// A message of a client, with those of its headers that are for others.
    #[must_use]
    pub fn of_client<'a>(
        destination: &str,
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        body: Bytes,
    ) -> Self {
        let public = headers
            .filter(|(name, _)| !PRIVATE_HEADERS.iter().any(|h| h.eq_ignore_ascii_case(name)))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self::new(destination.to_owned(), public, body)
    }

    /// Where it goes.
    #[must_use]
    pub fn destination(&self) -> &str {
        &self.destination
    }

    /// The same message under another destination, for the client to see.
    #[must_use]
    pub fn shown_as(mut self, destination: String) -> Self {
        self.destination = destination;
        self
    }

    /// The `content-type` header, if it has one.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        let is_it = |name: &str| name.eq_ignore_ascii_case("content-type");
        self.headers.iter().find(|(name, _)| is_it(name)).map(|(_, value)| value.as_str())
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

impl Encode for Content {
    fn encode(&self, dialect: Dialect) -> Bytes {
        let (version, encoding) = parts(dialect);
        let body = match encoding {
            Encoding::Plain => Cow::Borrowed(&self.body[..]),
            // Text only: what is not UTF-8 is replaced, as by Spring.
            Encoding::Json => match String::from_utf8_lossy(&self.body) {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            },
        };
        let mut out = BytesMut::with_capacity(128 + body.len());
        // Ends the line of the message id.
        out.put_u8(b'\n');
        put_header(&mut out, version, "destination", &self.destination);
        for (name, value) in &self.headers {
            put_header(&mut out, version, name, value);
        }
        put_header(&mut out, version, "content-length", &body.len().to_string());
        put_body(&mut out, &body);
        encoding.encode(out.freeze())
    }

    fn kind(&self) -> Kind {
        self.kind
    }
}

/// The dialect of a session of this version on a carrier of this encoding.
pub(super) fn dialect(version: Version, encoding: Encoding) -> Dialect {
    Dialect(match (encoding, version) {
        (Encoding::Plain, Version::V1_0) => 0,
        (Encoding::Plain, Version::V1_1) => 1,
        (Encoding::Plain, Version::V1_2) => 2,
        (Encoding::Json, Version::V1_0) => 3,
        (Encoding::Json, Version::V1_1) => 4,
        (Encoding::Json, Version::V1_2) => 5,
    })
}

fn parts(dialect: Dialect) -> (Version, Encoding) {
    match dialect.0 {
        0 => (Version::V1_0, Encoding::Plain),
        1 => (Version::V1_1, Encoding::Plain),
        2 => (Version::V1_2, Encoding::Plain),
        3 => (Version::V1_0, Encoding::Json),
        4 => (Version::V1_1, Encoding::Json),
        _ => (Version::V1_2, Encoding::Json),
    }
}

/// The head of each delivery up to its message id, whose line the shared part
/// ends. Heads come first, so that what follows can be shared.
pub(super) fn delivery_prefix(
    version: Version,
    encoding: Encoding,
    id: Option<&str>,
    session: &str,
) -> Bytes {
    let mut out = BytesMut::from("MESSAGE\n");
    if let Some(id) = id {
        put_header(&mut out, version, "subscription", id);
    }
    out.extend_from_slice(b"message-id:");
    out.extend_from_slice(session.as_bytes());
    out.extend_from_slice(b"-");
    encoding.encode(out.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_reads_as_a_message_frame_without_the_senders_secrets() {
        let headers = [
            ("destination", "/topic/a"),
            ("receipt", "r1"),
            ("Authorization", "Bearer x"),
            ("content-type", "text/plain"),
            ("note", "a:b"),
        ];
        let content = Content::of_client("/topic/a", headers.into_iter(), Bytes::from_static(b"hi"));
        let prefix = delivery_prefix(Version::V1_2, Encoding::Plain, Some("sub:0"), "s1");
        let tail = content.encode(dialect(Version::V1_2, Encoding::Plain));
        let frame = [&prefix[..], b"7", &tail[..]].concat();
        assert_eq!(
            String::from_utf8(frame).unwrap(),
            "MESSAGE\nsubscription:sub\\c0\nmessage-id:s1-7\ndestination:/topic/a\n\
             content-type:text/plain\nnote:a\\cb\ncontent-length:2\n\nhi\0"
        );
        assert_eq!(content.kind(), Kind::Text);
    }

    #[test]
    fn for_json_the_whole_delivery_is_escaped() {
        for version in Version::ALL {
            let headers = vec![("note".to_owned(), "a:\"b\"\\".to_owned())];
            let content = Content::new("/topic/a".into(), headers, Bytes::from_static(b"{\"n\":\"\xff\"}"));
            let json = dialect(version, Encoding::Json);
            assert_eq!(parts(json), (version, Encoding::Json));
            let prefix = delivery_prefix(version, Encoding::Json, Some("s\\0"), "s1");
            let delivery = [b"\"", &prefix[..], b"7", &content.encode(json)[..], b"\""].concat();
            let read: String = serde_json::from_slice(&delivery).unwrap();
            let mut text =
                Content::new("/topic/a".into(), content.headers.clone(), "{\"n\":\"\u{fffd}\"}".into());
            text.kind = Kind::Text;
            let plain = dialect(version, Encoding::Plain);
            let prefix = delivery_prefix(version, Encoding::Plain, Some("s\\0"), "s1");
            let expected = [&prefix[..], b"7", &text.encode(plain)[..]].concat();
            assert_eq!(read.as_bytes(), expected);
        }
    }

    #[test]
    fn a_body_that_is_not_utf8_is_binary() {
        let content = Content::new("/topic/a".into(), Vec::new(), Bytes::from_static(&[0xff]));
        assert_eq!(content.kind(), Kind::Binary);
    }
}

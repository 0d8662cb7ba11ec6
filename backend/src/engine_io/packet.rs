//! One packet: a digit for its type, then its data.

use base64::Engine;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::{BufMut, Bytes, BytesMut};

/// Before the base64 of a binary message in a polling payload.
const BINARY: u8 = b'b';

/// Before a text message.
const MESSAGE: u8 = b'4';

/// Padding is written, and not insisted on.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What the application on top sends and receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// UTF-8.
    Text(Bytes),
    /// Anything.
    Binary(Bytes),
}

/// A packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// `0`: the session's parameters in JSON.
    Open(Bytes),
    /// `1`: the session is over.
    Close,
    /// `2`: of the server; of the client only as `2probe`.
    Ping(Bytes),
    /// `3`: of the client; of the server only as `3probe`.
    Pong(Bytes),
    /// `4`, or a binary message.
    Message(Message),
    /// `5`: the WebSocket takes over.
    Upgrade,
    /// `6`: nothing, to answer a poll.
    Noop,
}

/// Bytes that are no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not even a type.
    #[error("empty packet")]
    Empty,
    /// A type that does not exist.
    #[error("unknown packet type")]
    Type,
    /// A binary message that is not base64.
    #[error("binary message is not base64")]
    Base64,
    /// A payload that is not UTF-8.
    #[error("payload is not UTF-8")]
    Utf8,
}

impl Packet {
    /// Reads a packet from text, which must be UTF-8: a WebSocket's text
    /// message, or a part of a polling payload. Shares the memory of `text`.
    ///
    /// # Errors
    ///
    /// It is no packet.
    pub fn decode(text: &Bytes) -> Result<Self, Malformed> {
        let data = || text.slice(1..);
        Ok(match text.first().ok_or(Malformed::Empty)? {
            b'0' => Self::Open(data()),
            b'1' => Self::Close,
            b'2' => Self::Ping(data()),
            b'3' => Self::Pong(data()),
            &MESSAGE => Self::Message(Message::Text(data())),
            b'5' => Self::Upgrade,
            b'6' => Self::Noop,
            &BINARY => {
                let binary = BASE64.decode(data()).map_err(|_| Malformed::Base64)?;
                Self::Message(Message::Binary(binary.into()))
            }
            _ => return Err(Malformed::Type),
        })
    }

    /// Writes the packet as text, binary messages in base64.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Open(data) => prefixed(b'0', data),
            Self::Close => Bytes::from_static(b"1"),
            Self::Ping(data) => prefixed(b'2', data),
            Self::Pong(data) => prefixed(b'3', data),
            Self::Message(Message::Text(text)) => prefixed(MESSAGE, text),
            Self::Message(Message::Binary(binary)) => prefixed(BINARY, BASE64.encode(binary).as_bytes()),
            Self::Upgrade => Bytes::from_static(b"5"),
            Self::Noop => Bytes::from_static(b"6"),
        }
    }
}

fn prefixed(kind: u8, data: &[u8]) -> Bytes {
    let mut packet = BytesMut::with_capacity(1 + data.len());
    packet.put_u8(kind);
    packet.put_slice(data);
    packet.freeze()
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::{Strategy, any, prop_oneof, proptest};

    use super::*;

    pub(in super::super) fn packets() -> impl Strategy<Value = Packet> {
        let text = || "[^\u{1e}]{0,12}".prop_map(Bytes::from);
        let binary = proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
        prop_oneof![
            text().prop_map(Packet::Open),
            text().prop_map(Packet::Ping),
            text().prop_map(Packet::Pong),
            text().prop_map(|text| Packet::Message(Message::Text(text))),
            binary.prop_map(|binary| Packet::Message(Message::Binary(binary))),
            prop_oneof![
                proptest::strategy::Just(Packet::Close),
                proptest::strategy::Just(Packet::Upgrade),
                proptest::strategy::Just(Packet::Noop)
            ],
        ]
    }

    #[test]
    fn packets_look_as_in_the_protocol_document() {
        let text = |text: &'static str| Message::Text(Bytes::from_static(text.as_bytes()));
        for (packet, wire) in [
            (Packet::Message(text("hello")), "4hello"),
            (Packet::Message(Message::Binary(Bytes::from_static(&[1, 2, 3, 4]))), "bAQIDBA=="),
            (Packet::Ping(Bytes::new()), "2"),
            (Packet::Pong(Bytes::from_static(b"probe")), "3probe"),
            (Packet::Upgrade, "5"),
            (Packet::Noop, "6"),
            (Packet::Close, "1"),
        ] {
            assert_eq!(packet.encode(), wire);
            assert_eq!(Packet::decode(&Bytes::from_static(wire.as_bytes())), Ok(packet));
        }
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        for (text, error) in [
            ("", Malformed::Empty),
            ("7", Malformed::Type),
            ("abc", Malformed::Type),
            ("b!", Malformed::Base64),
        ] {
            assert_eq!(Packet::decode(&Bytes::from_static(text.as_bytes())), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_packet_survives_its_encoding(packet in packets()) {
            assert_eq!(Packet::decode(&packet.encode()), Ok(packet));
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            drop(Packet::decode(&bytes.into()));
        }
    }
}

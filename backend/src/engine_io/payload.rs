//! What one HTTP request or response carries: packets with a separator between
//! them.

use base64::Engine;
use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::packet::{BASE64, Malformed, Packet};

/// U+001E, which JSON cannot hold unescaped.
const SEPARATOR: u8 = 0x1e;

/// The packets of a request's body, decoded one by one: a payload may hold very
/// many that are very small.
#[derive(Debug)]
pub struct Packets {
    /// None after the last one.
    rest: Option<Bytes>,
}

impl Packets {
    /// The packets of a payload.
    ///
    /// # Errors
    ///
    /// It is not UTF-8.
    pub fn try_new(payload: Bytes) -> Result<Self, Malformed> {
        std::str::from_utf8(&payload).map_err(|_| Malformed::Utf8)?;
        Ok(Self { rest: Some(payload) })
    }
}

impl Iterator for Packets {
    type Item = Result<Packet, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut packet = self.rest.take()?;
        if let Some(end) = memchr::memchr(SEPARATOR, &packet) {
            let mut rest = packet.split_off(end);
            // The separator.
            rest.advance(1);
            self.rest = Some(rest);
        }
        Some(Packet::decode(&packet))
    }
}

/// Whether a request's body is a payload.
///
/// # Errors
///
/// It is not UTF-8, or one of its packets is malformed.
pub fn check(payload: &Bytes) -> Result<(), Malformed> {
    Packets::try_new(payload.clone())?.try_for_each(|packet| packet.map(drop))
}

/// Builds the body of a response.
#[derive(Debug, Default)]
pub struct Encoder {
    payload: BytesMut,
}

impl Encoder {
    /// Appends a packet in its text form.
    pub fn push_text(&mut self, packet: &[u8]) {
        self.separate();
        self.payload.put_slice(packet);
    }

    /// Appends a binary message, in base64.
    pub fn push_binary(&mut self, message: &[u8]) {
        self.separate();
        self.payload.put_u8(b'b');
        self.payload.put_slice(BASE64.encode(message).as_bytes());
    }

    /// Bytes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.payload.len()
    }

    /// Whether there is no packet yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.payload.is_empty()
    }

    /// The payload.
    #[must_use]
    pub fn finish(self) -> Bytes {
        self.payload.freeze()
    }

    /// No packet is empty, so only the first one finds nothing before it.
    fn separate(&mut self) {
        if !self.payload.is_empty() {
            self.payload.put_u8(SEPARATOR);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::super::packet::Message;
    use super::super::packet::tests::packets;
    use super::*;

    fn decode(payload: &Bytes) -> Result<Vec<Packet>, Malformed> {
        let packets: Result<Vec<_>, _> = Packets::try_new(payload.clone())?.collect();
        assert_eq!(check(payload), packets.as_ref().map(drop).map_err(|malformed| *malformed));
        packets
    }

    #[test]
    fn packets_are_separated_as_in_the_protocol_document() {
        let mut encoder = Encoder::default();
        encoder.push_text(b"4hello");
        encoder.push_text(b"2");
        encoder.push_binary(&[1, 2, 3, 4]);
        let payload = encoder.finish();
        assert_eq!(payload, "4hello\u{1e}2\u{1e}bAQIDBA==");
        let decoded = decode(&payload).unwrap();
        assert_eq!(decoded.len(), 3);
        assert_eq!(decoded[2], Packet::Message(Message::Binary(Bytes::from_static(&[1, 2, 3, 4]))));
    }

    #[test]
    fn an_empty_part_is_malformed() {
        for payload in ["", "4a\u{1e}", "\u{1e}4a"] {
            assert_eq!(decode(&Bytes::from_static(payload.as_bytes())), Err(Malformed::Empty), "{payload:?}");
        }
        assert_eq!(decode(&Bytes::from_static(b"4\xff")), Err(Malformed::Utf8));
    }

    proptest! {
        #[test]
        fn payloads_survive_their_encoding(packets in proptest::collection::vec(packets(), 1..6)) {
            let mut encoder = Encoder::default();
            for packet in &packets {
                encoder.push_text(&packet.encode());
            }
            assert_eq!(decode(&encoder.finish()), Ok(packets));
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
            drop(decode(&bytes.into()));
        }
    }
}

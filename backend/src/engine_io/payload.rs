//! What one HTTP request or response carries: packets with a separator between
//! them.

use base64::Engine;
use bytes::{BufMut, Bytes, BytesMut};

use super::packet::{BASE64, Malformed, Packet};

/// U+001E, which JSON cannot hold unescaped.
const SEPARATOR: u8 = 0x1e;

/// Reads the packets of a request's body.
///
/// # Errors
///
/// One of them is malformed; none is returned then.
pub fn decode(payload: &Bytes) -> Result<Vec<Packet>, Malformed> {
    if std::str::from_utf8(payload).is_err() {
        return Err(Malformed::Utf8);
    }
    payload.split(|byte| *byte == SEPARATOR).map(|part| Packet::decode(&payload.slice_ref(part))).collect()
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

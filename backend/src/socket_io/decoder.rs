//! From messages to packets: a packet with attachments comes in several.

use bytes::Bytes;

use super::packet::{self, Malformed, Packet};

/// Joins packets and their attachments. At most
/// [`ATTACHMENTS_LIMIT`](packet::ATTACHMENTS_LIMIT) messages are kept.
#[derive(Debug, Default)]
pub struct Decoder {
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    packet: Packet,
    expected: usize,
    attachments: Vec<Bytes>,
}

impl Decoder {
    /// A text message; the packet, unless attachments are to follow.
    ///
    /// # Errors
    ///
    /// It is no packet, or an attachment was expected.
    pub fn text(&mut self, text: &str) -> Result<Option<Packet>, Malformed> {
        if self.pending.is_some() {
            return Err(Malformed::Unexpected);
        }
        let (packet, expected) = packet::decode(text)?;
        if expected == 0 {
            return Ok(Some(packet));
        }
        self.pending = Some(Pending { packet, expected, attachments: Vec::with_capacity(expected) });
        Ok(None)
    }

    /// A binary message; the packet, once it is complete.
    ///
    /// # Errors
    ///
    /// None was expected, or the placeholders of the packet are wrong.
    pub fn binary(&mut self, attachment: Bytes) -> Result<Option<Packet>, Malformed> {
        let mut pending = self.pending.take().ok_or(Malformed::Unexpected)?;
        pending.attachments.push(attachment);
        if pending.attachments.len() < pending.expected {
            self.pending = Some(pending);
            return Ok(None);
        }
        pending.packet.attach(pending.attachments)?;
        Ok(Some(pending.packet))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket_io::Body;

    #[test]
    fn a_packet_is_complete_with_its_last_attachment() {
        let mut decoder = Decoder::default();
        let text = r#"52-["a",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]"#;
        assert_eq!(decoder.text(text), Ok(None));
        assert_eq!(decoder.binary(Bytes::from_static(b"x")), Ok(None));
        let packet = decoder.binary(Bytes::from_static(b"y")).unwrap().unwrap();
        let Body::Event { payload, .. } = packet.body else { panic!("no event") };
        assert_eq!(payload.attachments, [Bytes::from_static(b"x"), Bytes::from_static(b"y")]);
        assert!(decoder.text(r#"2["b"]"#).unwrap().is_some());
    }

    #[test]
    fn messages_out_of_turn_are_refused() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.binary(Bytes::new()), Err(Malformed::Unexpected));
        assert_eq!(decoder.text(r#"51-["a"]"#), Ok(None));
        assert_eq!(decoder.text(r#"2["b"]"#), Err(Malformed::Unexpected));
    }
}

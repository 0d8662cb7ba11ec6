//! Type-length-value triples after the addresses of version 2 (specification,
//! section 2.2): one byte type, two bytes length, value. Unknown types are passed
//! over; the values here are the sender's words and checked no further than said.

use super::Malformed;

/// One triple.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// Its type, such as [`Tlv::AWS`].
    pub kind: u8,
    /// Its value, uninterpreted.
    pub value: &'a [u8],
}

/// The triples of a header, all of them whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tlvs<'a> {
    bytes: &'a [u8],
}

impl Tlv<'_> {
    /// Application protocol.
    pub const ALPN: u8 = 0x01;
    /// Host name that the client asked for.
    pub const AUTHORITY: u8 = 0x02;
    /// Checksum of the header.
    pub const CRC32C: u8 = 0x03;
    /// Padding.
    pub const NOOP: u8 = 0x04;
    /// Name of the connection.
    pub const UNIQUE_ID: u8 = 0x05;
    /// AWS's own: a subtype in the first byte, and its value.
    pub const AWS: u8 = 0xEA;
    /// Subtype of [`Tlv::AWS`]: the id of the VPC endpoint that the client came through.
    pub const AWS_VPC_ENDPOINT_ID: u8 = 0x01;
    /// Bytes before a value: type and length.
    pub(super) const HEAD_LEN: usize = 3;
}

impl<'a> Tlvs<'a> {
    /// The triples that `bytes` are made of; `at` is where in the header they begin.
    pub(super) fn try_new(bytes: &'a [u8], at: usize) -> Result<Self, Malformed> {
        let tlvs = Self { bytes };
        let read: usize = tlvs.iter().map(|tlv| Tlv::HEAD_LEN + tlv.value.len()).sum();
        if read == bytes.len() { Ok(tlvs) } else { Err(Malformed::TlvCut(at + read)) }
    }

    /// All of them, in the header's order.
    pub fn iter(self) -> impl Iterator<Item = Tlv<'a>> {
        self.with_rests().map(|(tlv, _)| tlv)
    }

    /// The value of the first one of this type.
    #[must_use]
    pub fn value(self, kind: u8) -> Option<&'a [u8]> {
        self.iter().find(|tlv| tlv.kind == kind).map(|tlv| tlv.value)
    }

    /// The application protocol, such as `h2`.
    #[must_use]
    pub fn alpn(self) -> Option<&'a [u8]> {
        self.value(Tlv::ALPN)
    }

    /// The host name that the client asked for, in TLS its SNI; `None` also if it is not UTF-8.
    #[must_use]
    pub fn authority(self) -> Option<&'a str> {
        std::str::from_utf8(self.value(Tlv::AUTHORITY)?).ok()
    }

    /// What the sender calls the connection: opaque bytes, at most 128 of them if it keeps to the specification.
    #[must_use]
    pub fn unique_id(self) -> Option<&'a [u8]> {
        self.value(Tlv::UNIQUE_ID)
    }

    /// The id of the VPC endpoint that the client came through to a Network Load Balancer, `vpce-…`;
    /// `None` also if it has other than graphic ASCII characters.
    #[must_use]
    pub fn vpc_endpoint_id(self) -> Option<&'a str> {
        let id = self.iter().filter(|tlv| tlv.kind == Tlv::AWS).find_map(|tlv| match tlv.value {
            [Tlv::AWS_VPC_ENDPOINT_ID, id @ ..] => Some(id),
            _ => None,
        })?;
        std::str::from_utf8(id).ok().filter(|id| id.bytes().all(|byte| byte.is_ascii_graphic()))
    }

    /// Each one with the bytes behind it.
    pub(super) fn with_rests(self) -> impl Iterator<Item = (Tlv<'a>, &'a [u8])> {
        let mut bytes = self.bytes;
        std::iter::from_fn(move || {
            let (&[kind, high, low], rest) = bytes.split_first_chunk::<{ Tlv::HEAD_LEN }>()?;
            let (value, rest) = rest.split_at_checked(u16::from_be_bytes([high, low]).into())?;
            bytes = rest;
            Some((Tlv { kind, value }, rest))
        })
    }
}

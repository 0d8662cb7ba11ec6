//! Identifiers of traces and spans: 16 and 8 bytes, written as hex digits, never all zero.

use std::fmt;

/// A trace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceId([u8; 16]);

/// A span within a trace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SpanId([u8; 8]);

impl TraceId {
    /// The identifier with these bytes; `None` if they are all zero.
    #[must_use]
    pub fn new(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    /// One that begins with the time, as X-Ray's do; `random` is the rest of it.
    #[must_use]
    pub fn at(epoch_seconds: u64, random: [u8; 12]) -> Self {
        let [_, _, _, _, time @ ..] = epoch_seconds.to_be_bytes();
        let mut bytes = [0; 16];
        for (byte, from) in bytes.iter_mut().zip(time.into_iter().chain(random)) {
            *byte = from;
        }
        Self::new(bytes).unwrap_or(Self([u8::MAX; 16]))
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The last 8 bytes, which are random in identifiers of all kinds.
    #[must_use]
    pub const fn low(self) -> u64 {
        let [.., a, b, c, d, e, f, g, h] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl SpanId {
    /// The identifier with these bytes; `None` if they are all zero.
    #[must_use]
    pub fn new(bytes: [u8; 8]) -> Option<Self> {
        (bytes != [0; 8]).then_some(Self(bytes))
    }

    /// The one that `random` gives.
    #[must_use]
    pub fn from_random(random: [u8; 8]) -> Self {
        Self::new(random).unwrap_or(Self([u8::MAX; 8]))
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

/// Which letters hex digits may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Letters {
    /// a–f only.
    Lower,
    /// a–f and A–F.
    Any,
}

/// The bytes that `text` writes as hex digits; `None` if it has another length or other characters.
#[must_use]
pub fn from_hex<const N: usize>(text: &[u8], letters: Letters) -> Option<[u8; N]> {
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    if pairs.len() != N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high, letters)? << 4 | digit(*low, letters)?;
    }
    Some(bytes)
}

const fn digit(character: u8, letters: Letters) -> Option<u8> {
    match (character, letters) {
        (b'0'..=b'9', _) => Some(character - b'0'),
        (b'a'..=b'f', _) => Some(character - b'a' + 10),
        (b'A'..=b'F', Letters::Any) => Some(character - b'A' + 10),
        _ => None,
    }
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_of_ours_begins_with_the_time_and_is_never_zero() {
        let random = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        assert_eq!(TraceId::at(0x6733_6abc, random).to_string(), "67336abc0102030405060708090a0b0c");
        assert_eq!(TraceId::at(0, [0; 12]).to_string(), "f".repeat(32));
        assert_eq!(SpanId::from_random([0; 8]).to_string(), "f".repeat(16));
        assert_eq!(TraceId::new([0; 16]), None);
    }

    #[test]
    fn the_low_half_is_the_last_8_bytes() {
        let id = TraceId::at(1, [9, 9, 9, 9, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(id.low(), 0x0102);
    }
}

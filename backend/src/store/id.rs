//! Ids of stored messages: UUIDs of version 7 (RFC 9562, section 6.2, method 1).
//!
//! From high to low: milliseconds, a counter, a number of the process. So ids
//! sort by time, those of one process in the order it gave them, and two
//! processes that share a database never give the same.

use std::fmt;
use std::str::FromStr;

/// Counts up within a millisecond: 12 bits before the variant, 14 after.
const COUNTER_BITS: u32 = 26;
const COUNTER_LOW_BITS: u32 = 14;
const NODE_BITS: u32 = 48;
const VERSION: u128 = 7 << 76;
const VARIANT: u128 = 2 << 62;

/// Where the hyphens of the text form are.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// The id of a stored message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(u128);

/// Why a text is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no id of a message: write a UUID as the store gave it")]
pub struct MessageIdError;

impl MessageId {
    /// Before every id of `timestamp`, in milliseconds since 1970, and later.
    pub(super) fn earliest(timestamp: u64) -> Self {
        Self::new(timestamp, 0, 0)
    }

    fn new(timestamp: u64, counter: u32, node: u64) -> Self {
        let low = counter & ((1 << COUNTER_LOW_BITS) - 1);
        let high = counter >> COUNTER_LOW_BITS;
        Self(
            u128::from(timestamp) << 80
                | VERSION
                | u128::from(high) << 64
                | VARIANT
                | u128::from(low) << NODE_BITS
                | u128::from(node) & ((1 << NODE_BITS) - 1),
        )
    }

    /// As the database has it: bytes that sort like the id.
    pub(super) fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(u128::from_be_bytes(bytes)))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = |shift: u32, bits: u32| (self.0 >> shift) & ((1 << bits) - 1);
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            group(96, 32),
            group(80, 16),
            group(64, 16),
            group(48, 16),
            group(0, 48)
        )
    }
}

impl FromStr for MessageId {
    type Err = MessageIdError;

    fn from_str(text: &str) -> Result<Self, MessageIdError> {
        let fits = |(at, byte): (usize, u8)| {
            if HYPHENS.contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() }
        };
        if text.len() != 36 || !text.bytes().enumerate().all(fits) {
            return Err(MessageIdError);
        }
        u128::from_str_radix(&text.replace('-', ""), 16).map(Self).map_err(|_| MessageIdError)
    }
}

/// Gives ids of one process, each above the one before, whatever the clock
/// does.
#[derive(Debug)]
pub(super) struct Sequence {
    node: u64,
    timestamp: u64,
    counter: u32,
}

impl Sequence {
    /// `node` is a number that no other process has, of which 48 bits count.
    pub(super) fn new(node: u64) -> Self {
        Self { node, timestamp: 0, counter: 0 }
    }

    pub(super) fn next(&mut self, timestamp: u64) -> MessageId {
        if timestamp > self.timestamp {
            self.timestamp = timestamp;
            self.counter = 0;
        } else if self.counter + 1 < 1 << COUNTER_BITS {
            self.counter += 1;
        } else {
            self.timestamp += 1;
            self.counter = 0;
        }
        MessageId::new(self.timestamp, self.counter, self.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_of_version_7() {
        let id = Sequence::new(0xffff_0123_4567_89ab).next(0x0192_3456_789a);
        assert_eq!(id.to_string(), "01923456-789a-7000-8000-0123456789ab");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(MessageId::from_bytes(&id.to_bytes()), Some(id));
    }

    #[test]
    fn what_is_no_uuid_is_refused() {
        for text in ["", "7", "01923456789a700080000123456789ab", "+1923456-789a-7000-8000-0123456789ab"] {
            assert_eq!(text.parse::<MessageId>(), Err(MessageIdError), "{text}");
        }
        assert_eq!(MessageId::from_bytes(b"short"), None);
    }

    #[test]
    fn ids_rise_with_time_and_within_a_millisecond_and_when_the_clock_goes_back() {
        let mut sequence = Sequence::new(7);
        let mut ids = vec![MessageId::earliest(5)];
        ids.extend([5, 5, 5, 4, 1, 6].map(|timestamp| sequence.next(timestamp)));
        // Past the bits before the variant.
        ids.extend((0..20_000).map(|_| sequence.next(6)));
        ids.push(MessageId::earliest(7));
        assert!(ids.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_full_counter_goes_on_in_the_next_millisecond() {
        let mut sequence = Sequence { node: 1, timestamp: 5, counter: (1 << COUNTER_BITS) - 2 };
        let last = sequence.next(5);
        assert!(last < MessageId::earliest(6));
        assert_eq!(sequence.next(5), MessageId::new(6, 0, 1));
        assert_eq!(sequence.next(6), MessageId::new(6, 1, 1));
    }
}

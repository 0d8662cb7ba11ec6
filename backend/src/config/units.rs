//! Values with a unit: `20s`, `500ms`, `64KiB`; and networks.

use std::fmt;
use std::time::Duration;

use ipnet::IpNet;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use super::HeartBeatConfig;

/// Why a text is no duration or size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Digits and a unit were expected.
    #[error("{0:?} is no duration: write a number and one of ms, s, m, h, like 20s")]
    Duration(String),
    /// Digits and a unit were expected.
    #[error("{0:?} is no size: write bytes, or a number and one of KiB, MiB, like 64KiB")]
    Size(String),
}

/// Splits `20s` into 20 and `s`.
fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, unit))
}

/// Parses a duration with its unit (`ms`, `s`, `m`, `h`); a bare `0` needs
/// none.
///
/// # Errors
///
/// [`UnitError::Duration`] when there is no number, an unknown unit or none.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let malformed = || UnitError::Duration(text.to_owned());
    let (number, unit) = split(text.trim()).ok_or_else(malformed)?;
    let millis = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        "" if number == 0 => Some(0),
        _ => None,
    };
    millis.map(Duration::from_millis).ok_or_else(malformed)
}

/// Parses a size in bytes: a plain number, or one with `B`, `KB`, `KiB`, `MB`
/// or `MiB`, all powers of 1024 as in Spring's `DataSize`.
///
/// # Errors
///
/// [`UnitError::Size`] when there is no number or an unknown unit.
pub fn parse_size(text: &str) -> Result<usize, UnitError> {
    let malformed = || UnitError::Size(text.to_owned());
    let (number, unit) = split(text.trim()).ok_or_else(malformed)?;
    let factor = match unit {
        "" | "B" => 1,
        "KB" | "KiB" => 1024,
        "MB" | "MiB" => 1024 * 1024,
        _ => return Err(malformed()),
    };
    number.checked_mul(factor).and_then(|n| usize::try_from(n).ok()).ok_or_else(malformed)
}

/// A duration as it stands in YAML.
struct Interval(Duration);

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Interval;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration with its unit, like 20s or 500ms")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Interval, E> {
                parse_duration(text).map(Interval).map_err(E::custom)
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Interval, E> {
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// `deserialize_with` for a duration.
pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Interval::deserialize(deserializer).map(|interval| interval.0)
}

/// `deserialize_with` for a size in bytes.
pub(super) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    struct Text;
    impl Visitor<'_> for Text {
        type Value = usize;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a size in bytes or with its unit, like 64KiB")
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<usize, E> {
            parse_size(text).map_err(E::custom)
        }
        fn visit_u64<E: Error>(self, number: u64) -> Result<usize, E> {
            usize::try_from(number).map_err(E::custom)
        }
    }
    deserializer.deserialize_any(Text)
}

/// `deserialize_with` for a size that need not be set.
pub(super) fn optional_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    size(deserializer).map(Some)
}

/// `deserialize_with` for `[send, receive]`.
pub(super) fn heart_beat<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HeartBeatConfig, D::Error> {
    struct Pair;
    impl<'de> Visitor<'de> for Pair {
        type Value = HeartBeatConfig;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("two durations, [send, receive], like [10s, 10s]")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<HeartBeatConfig, A::Error> {
            let send: Interval = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
            let receive: Interval = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
            if seq.next_element::<serde::de::IgnoredAny>()?.is_some() {
                return Err(A::Error::invalid_length(3, &self));
            }
            Ok(HeartBeatConfig { send: send.0, receive: receive.0 })
        }
    }
    deserializer.deserialize_seq(Pair)
}

/// `deserialize_with` for networks in CIDR notation.
pub(super) fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts
        .iter()
        .map(|text| {
            text.parse()
                .map_err(|_| D::Error::custom(format!("{text:?} is no network, write it like 10.0.0.0/8")))
        })
        .collect()
}

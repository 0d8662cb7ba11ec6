//! `limits.*`.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};

use serde::Deserialize;

use crate::limits::Rate;

use super::units;

/// Rates and numbers that one client, user or address may have. Each is per
/// instance, and 0 switches it off. Rates are multiplied by `--time-scale`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LimitsConfig {
    /// Frames of one connection per second, heart-beats not counted. Default
    /// 1000.
    pub messages_per_second: u64,
    /// Frames that may come at once. Default 2000.
    pub messages_burst: u64,
    /// Bytes of one connection per second. Default `4MiB`.
    #[serde(deserialize_with = "units::size")]
    pub bytes_per_second: usize,
    /// Bytes that may come at once. Default `8MiB`.
    #[serde(deserialize_with = "units::size")]
    pub bytes_burst: usize,
    /// What becomes of a connection that exceeds its rates. Default
    /// `slow-down`.
    pub when_exceeded: WhenExceeded,
    /// Sessions of one user; the next one is refused with 429, or with an ERROR
    /// at CONNECT. Default 100.
    pub connections_per_user: usize,
    /// Sessions of one address, or of the /64 of an IPv6 one; the next one is
    /// refused with 429. Default 0: many clients may share an address.
    pub connections_per_address: usize,
    /// Handshakes of one address per second; 429 above. Default 0.
    pub handshakes_per_second: u32,
    /// Handshakes of one address that may come at once. Default 100.
    pub handshakes_burst: u32,
}

/// What becomes of a connection that sends more than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenExceeded {
    /// It is read no faster than it may send, so that its own writes block.
    /// Nothing is lost.
    SlowDown,
    /// It gets an ERROR and is closed with 1008.
    Close,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            messages_per_second: 1000,
            messages_burst: 2000,
            bytes_per_second: 4 << 20,
            bytes_burst: 8 << 20,
            when_exceeded: WhenExceeded::SlowDown,
            connections_per_user: 100,
            connections_per_address: 0,
            handshakes_per_second: 0,
            handshakes_burst: 100,
        }
    }
}

impl LimitsConfig {
    /// Frames of a connection; none without a limit.
    #[must_use]
    pub fn messages(&self) -> Option<Rate> {
        Some(Rate::new(NonZeroU64::new(self.messages_per_second)?, self.messages_burst))
    }

    /// Bytes of a connection; none without a limit.
    #[must_use]
    pub fn bytes(&self) -> Option<Rate> {
        let wide = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
        Some(Rate::new(NonZeroU64::new(wide(self.bytes_per_second))?, wide(self.bytes_burst)))
    }

    /// Handshakes of an address: per second, and at once.
    #[must_use]
    pub fn handshakes(&self) -> Option<(NonZeroU32, NonZeroU32)> {
        NonZeroU32::new(self.handshakes_per_second).zip(NonZeroU32::new(self.handshakes_burst))
    }

    /// Sessions of a user.
    #[must_use]
    pub fn per_user(&self) -> Option<NonZeroUsize> {
        NonZeroUsize::new(self.connections_per_user)
    }

    /// Sessions of an address.
    #[must_use]
    pub fn per_address(&self) -> Option<NonZeroUsize> {
        NonZeroUsize::new(self.connections_per_address)
    }

    /// What the types cannot say, one line each.
    pub(super) fn problems(&self) -> Vec<String> {
        let pairs = [
            ("messages-burst", self.messages_per_second > 0 && self.messages_burst == 0),
            ("bytes-burst", self.bytes_per_second > 0 && self.bytes_burst == 0),
            ("handshakes-burst", self.handshakes_per_second > 0 && self.handshakes_burst == 0),
        ];
        let wrong = pairs.into_iter().filter(|(_, is_wrong)| *is_wrong);
        wrong.map(|(key, _)| format!("limits.{key}: must be above zero where there is a rate")).collect()
    }

    /// Lets as much through in a time that is `scale` times shorter.
    pub(super) fn scale_rates(&mut self, scale: u32) {
        let wide = usize::try_from(scale).unwrap_or(usize::MAX);
        self.messages_per_second = self.messages_per_second.saturating_mul(scale.into());
        self.bytes_per_second = self.bytes_per_second.saturating_mul(wide);
        self.handshakes_per_second = self.handshakes_per_second.saturating_mul(scale);
    }
}

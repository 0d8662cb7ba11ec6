//! Gaps between requests.

use std::{str::FromStr, time::Duration};

use rand::Rng;

use crate::target::duration;

/// A range of gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gaps {
    /// The shortest.
    pub(super) from: Duration,
    /// The longest.
    pub(super) to: Duration,
}

impl FromStr for Gaps {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text.split_once("..").ok_or("a range is two durations, such as 4s..6s")?;
        let (from, to) = (duration(from)?, duration(to)?);
        if from <= to { Ok(Self { from, to }) } else { Err("a range goes from the shorter one".to_owned()) }
    }
}

impl Gaps {
    /// From a fifth less to a fifth more.
    pub(super) fn around(keep_alive: Duration) -> Self {
        let fifth = keep_alive / 5;
        Self { from: keep_alive - fifth, to: keep_alive.saturating_add(fifth) }
    }

    /// So many, evenly from one end to the other.
    pub(super) fn sweep(self, steps: u32) -> impl Iterator<Item = Duration> {
        let step = (self.to - self.from) / steps.saturating_sub(1).max(1);
        (0..steps).map(move |index| self.from + step * index)
    }

    /// Any of the range.
    pub(super) fn random(self, dice: &mut impl Rng) -> Duration {
        dice.random_range(self.from..=self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_ranges() {
        let gaps = |text: &str| text.parse::<Gaps>();
        let range = gaps("4s..6s").unwrap();
        assert_eq!(range, Gaps::around(Duration::from_secs(5)));
        let swept: Vec<_> = range.sweep(5).map(|gap| gap.as_millis()).collect();
        assert_eq!(swept, [4000, 4500, 5000, 5500, 6000]);
        assert_eq!(range.sweep(1).collect::<Vec<_>>(), [Duration::from_secs(4)]);
        let gap = range.random(&mut rand::rng());
        assert!(gap >= range.from && gap <= range.to, "{gap:?}");
        for wrong in ["4s", "6s..4s", "4..6"] {
            assert!(gaps(wrong).is_err(), "{wrong}");
        }
    }
}

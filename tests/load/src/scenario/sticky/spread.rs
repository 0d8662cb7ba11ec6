//! How evenly things are spread over targets.

use std::collections::BTreeMap;

use crate::record::number;

/// Things at each target.
#[derive(Debug, Default)]
pub(super) struct Spread {
    counts: BTreeMap<String, u64>,
}

impl Spread {
    /// Counts the targets' names.
    pub(super) fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut counts = BTreeMap::new();
        for name in names {
            *counts.entry(name.to_owned()).or_default() += 1;
        }
        Self { counts }
    }

    /// How many targets there are.
    pub(super) fn targets(&self) -> usize {
        self.counts.len()
    }

    /// By name.
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.clone()
    }

    /// Chi-square for each degree of freedom, of an even spread over the targets
    /// that were seen: 0 is even, about 1 is random.
    pub(super) fn uneven(&self) -> f64 {
        let all: u64 = self.counts.values().sum();
        let targets = number(self.counts.len() as u64);
        if targets < 2.0 {
            return 0.0;
        }
        let expected = number(all) / targets;
        let squares = self.counts.values().map(|count| (number(*count) - expected).powi(2) / expected);
        squares.sum::<f64>() / (targets - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(names: &[(&str, usize)], targets: usize, uneven: f64) {
        let spread = Spread::of(names.iter().flat_map(|(name, count)| std::iter::repeat_n(*name, *count)));
        assert_eq!((spread.targets(), spread.uneven()), (targets, uneven));
    }

    #[test]
    fn unevenness_is_chi_square_for_each_degree_of_freedom() {
        check(&[("a", 10), ("b", 10)], 2, 0.0);
        check(&[("a", 15), ("b", 5)], 2, 5.0);
        check(&[("a", 6), ("b", 3), ("c", 3)], 3, 0.75);
        check(&[("a", 6)], 1, 0.0);
        check(&[], 0, 0.0);
    }
}

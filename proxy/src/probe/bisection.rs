//! The search for the largest size that is still taken.

/// A search between a least and a most size: doubling until something is refused, then halving the gap.
#[derive(Debug)]
pub(super) struct Bisection {
    least: usize,
    most: usize,
    accepted: Option<usize>,
    refused: Option<usize>,
}

impl Bisection {
    pub(super) const fn new(least: usize, most: usize) -> Self {
        Self { least, most, accepted: None, refused: None }
    }

    /// The size to try next; `None` when the answer is known closely enough.
    pub(super) fn next(&self) -> Option<usize> {
        match (self.accepted, self.refused) {
            (None, None) => Some(self.least),
            (None, Some(_)) => None,
            (Some(accepted), None) => {
                (accepted < self.most).then(|| accepted.saturating_mul(2).min(self.most))
            }
            (Some(accepted), Some(refused)) => {
                let gap = refused.saturating_sub(accepted);
                (gap > resolution(accepted)).then_some(accepted + gap / 2)
            }
        }
    }

    pub(super) fn accept(&mut self, size: usize) {
        self.accepted = Some(size);
    }

    pub(super) fn refuse(&mut self, size: usize) {
        self.refused = Some(size);
    }

    /// The largest size that was taken.
    pub(super) const fn accepted(&self) -> Option<usize> {
        self.accepted
    }
}

/// How closely a limit is told: within a 128th, and not below 16 bytes.
const fn resolution(accepted: usize) -> usize {
    let part = accepted / 128;
    if part < 16 { 16 } else { part }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches for `limit`; what was found and in how many steps.
    fn search(least: usize, most: usize, limit: usize) -> (Option<usize>, Option<usize>, usize) {
        let mut search = Bisection::new(least, most);
        let mut steps = 0;
        while let Some(size) = search.next() {
            steps += 1;
            if size <= limit { search.accept(size) } else { search.refuse(size) }
        }
        (search.accepted, search.refused, steps)
    }

    #[test]
    fn limits_that_are_powers_of_two_are_met_exactly() {
        for limit in [4096, 8192, 16_384, 65_536] {
            let (accepted, refused, steps) = search(256, 131_072, limit);
            assert_eq!(accepted, Some(limit));
            assert!(refused.is_some_and(|refused| refused <= limit + limit / 100), "{refused:?}");
            assert!(steps <= 18, "{steps} connections for {limit}");
        }
    }

    #[test]
    fn any_limit_is_met_within_one_per_cent() {
        for limit in (2_000..131_000).step_by(997) {
            let (accepted, refused, _) = search(256, 131_072, limit);
            let (accepted, refused) = (accepted.unwrap(), refused.unwrap());
            assert!(accepted <= limit && limit < refused, "{accepted} {limit} {refused}");
            assert!(refused - accepted <= limit / 100, "{accepted} {limit} {refused}");
        }
    }

    #[test]
    fn a_limit_above_the_most_is_not_searched_for() {
        assert_eq!(search(256, 131_072, usize::MAX), (Some(131_072), None, 10));
    }

    #[test]
    fn what_refuses_the_least_is_not_searched() {
        assert_eq!(search(256, 131_072, 0), (None, Some(256), 1));
    }
}

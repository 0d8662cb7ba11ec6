//! Pauses between attempts to connect.

use std::time::Duration;

use rand::Rng;

/// Doubles from `min` to `max`; what is waited is drawn between half and all of
/// it, so that instances that lost the same Redis do not return at once.
#[derive(Debug)]
pub(super) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, next: min }
    }

    /// The pause before the next attempt.
    pub(super) fn pause(&mut self, rng: &mut impl Rng) -> Duration {
        let whole = self.next;
        self.next = whole.saturating_mul(2).min(self.max);
        rng.random_range(whole / 2..=whole)
    }

    /// An attempt succeeded.
    pub(super) fn reset(&mut self) {
        self.next = self.min;
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_with_jitter_below() {
        let millis = Duration::from_millis;
        let mut rng = StdRng::seed_from_u64(7);
        let mut backoff = Backoff::new(millis(50), millis(500));
        for whole in [50, 100, 200, 400, 500, 500] {
            let pause = backoff.pause(&mut rng);
            assert!((millis(whole / 2)..=millis(whole)).contains(&pause), "{whole}: {pause:?}");
        }
        backoff.reset();
        assert!(backoff.pause(&mut rng) <= millis(50));
    }

    #[test]
    fn instances_draw_different_pauses() {
        let pauses: std::collections::BTreeSet<_> = (0..20)
            .map(|seed| {
                let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(1));
                backoff.pause(&mut StdRng::seed_from_u64(seed))
            })
            .collect();
        assert!(pauses.len() > 15, "{pauses:?}");
    }
}

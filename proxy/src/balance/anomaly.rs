//! Automatic target weights: which targets fail unlike the others, and how much
//! traffic they keep.
//!
//! ELB page: "Automatic target weights (ATW)". Pure: the caller counts, and
//! asks every [`INTERVAL`]. ELB tells what it looks at (5xx responses and
//! connection errors, relative to the other targets), that it needs three
//! healthy targets, and that the share of a target is lowered at once and
//! grows again when the target is normal; the numbers here are ours.
//!
//! A target is anomalous when, in the last interval, at least
//! [`FEWEST_ERRORS`] of its requests failed, and the share that failed is ten
//! percentage points above that of the other healthy targets together and three
//! times as large. Mitigation takes an anomalous target to a quarter of its
//! weight, each interval again, but never below [`LEAST_WEIGHT`], so that its
//! recovery is seen; a normal target gets [`STEP`] back with each interval.

use std::time::Duration;

use super::weighted::WHOLE;

/// How often targets are judged.
pub const INTERVAL: Duration = Duration::from_secs(5);
/// With fewer healthy targets than these no target is judged.
pub const FEWEST_TARGETS: usize = 3;
/// With fewer failed requests than these in an interval a target is normal.
pub const FEWEST_ERRORS: u32 = 2;
/// The weight that an anomalous target keeps: 5 % of its share.
pub const LEAST_WEIGHT: u32 = WHOLE / 20;
/// What a normal target gets back with each interval: 10 % of its share.
pub const STEP: u32 = WHOLE / 10;

/// What a target did in an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// Requests sent to it, or tried to.
    pub requests: u32,
    /// Responses 5xx and connections that failed.
    pub errors: u32,
}

/// `AnomalyDetection` of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnomalyDetection {
    /// `Result`.
    pub result: AnomalyResult,
    /// `MitigationInEffect`: its share is lowered.
    pub mitigation: Mitigation,
}

/// `Result` of anomaly detection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AnomalyResult {
    /// `normal`.
    #[default]
    Normal,
    /// `anomalous`.
    Anomalous,
}

impl AnomalyResult {
    /// The name in the `ELBv2` API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Anomalous => "anomalous",
        }
    }
}

/// `MitigationInEffect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mitigation {
    /// `yes`.
    InEffect,
    /// `no`.
    None,
}

impl Mitigation {
    /// The name in the `ELBv2` API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InEffect => "yes",
            Self::None => "no",
        }
    }
}

/// Judges the healthy targets of a group by their samples of one interval.
#[must_use]
pub fn judge(samples: &[Sample]) -> Vec<AnomalyResult> {
    let all = samples.iter().fold((0_u64, 0_u64), |(requests, errors), sample| {
        (requests + u64::from(sample.requests), errors + u64::from(sample.errors))
    });
    let judged = samples.iter().map(|sample| {
        if samples.len() >= FEWEST_TARGETS && is_anomalous(*sample, all) {
            AnomalyResult::Anomalous
        } else {
            AnomalyResult::Normal
        }
    });
    judged.collect()
}

fn is_anomalous(sample: Sample, (all_requests, all_errors): (u64, u64)) -> bool {
    let (requests, errors) = (u64::from(sample.requests), u64::from(sample.errors));
    let (others, other_errors) = (all_requests - requests, all_errors - errors);
    if sample.errors < FEWEST_ERRORS || requests == 0 || others == 0 {
        return false;
    }
    // Shares compared as products, so that nothing is divided.
    let (own, theirs) =
        (u128::from(errors) * u128::from(others), u128::from(other_errors) * u128::from(requests));
    own >= 3 * theirs && 10 * own.saturating_sub(theirs) >= u128::from(requests) * u128::from(others)
}

/// The next weight of a target of this weight under mitigation.
#[must_use]
pub fn next_weight(weight: u32, result: AnomalyResult) -> u32 {
    match result {
        AnomalyResult::Normal => weight.saturating_add(STEP).min(WHOLE),
        AnomalyResult::Anomalous => (weight / 4).max(LEAST_WEIGHT),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Errors of requests per target, and which targets are anomalous.
    #[track_caller]
    fn check(samples: &[(u32, u32)], expected: &[usize]) {
        let samples: Vec<_> = samples.iter().map(|&(errors, requests)| Sample { requests, errors }).collect();
        let judged = judge(&samples);
        let anomalous: Vec<_> =
            (0..judged.len()).filter(|&index| judged[index] == AnomalyResult::Anomalous).collect();
        assert_eq!(anomalous, expected, "{samples:?}");
    }

    #[test]
    fn a_target_that_fails_unlike_the_others_is_anomalous() {
        check(&[(10, 10), (0, 10), (0, 10)], &[0]);
        check(&[(2, 10), (0, 10), (0, 10)], &[0]);
        check(&[(30, 100), (5, 100), (5, 100)], &[0]);
        check(&[(0, 10), (10, 10), (0, 10), (0, 10), (10, 10)], &[1, 4]);
    }

    #[test]
    fn what_all_do_is_normal() {
        check(&[(10, 10), (10, 10), (10, 10)], &[]);
        check(&[(5, 10), (4, 10), (4, 10)], &[]);
        // Three times as many, but few.
        check(&[(9, 100), (1, 100), (1, 100)], &[]);
        // Ten points more, but everybody fails.
        check(&[(60, 100), (40, 100), (40, 100)], &[]);
        check(&[], &[]);
        check(&[(0, 0), (0, 0), (0, 0)], &[]);
    }

    #[test]
    fn a_single_error_two_targets_or_idle_peers_prove_nothing() {
        check(&[(1, 1), (0, 10), (0, 10)], &[]);
        check(&[(10, 10), (0, 10)], &[]);
        check(&[(10, 10), (0, 0), (0, 0)], &[]);
    }

    #[test]
    fn weights_fall_at_once_and_recover_in_steps() {
        let (mut weight, mut seen) = (WHOLE, Vec::new());
        for result in [AnomalyResult::Anomalous; 3].into_iter().chain([AnomalyResult::Normal; 11]) {
            weight = next_weight(weight, result);
            seen.push(weight);
        }
        assert_eq!(seen, [250, 62, 50, 150, 250, 350, 450, 550, 650, 750, 850, 950, WHOLE, WHOLE]);
    }

    proptest! {
        #[test]
        fn any_counts_are_judged(samples in prop::collection::vec((any::<u32>(), any::<u32>()), 0..9)) {
            let samples: Vec<_> =
                samples.into_iter().map(|(requests, errors)| Sample { requests, errors }).collect();
            let judged = judge(&samples);
            prop_assert_eq!(judged.len(), samples.len());
            let any = judged.contains(&AnomalyResult::Anomalous);
            prop_assert!(!any || samples.len() >= FEWEST_TARGETS);
        }

        #[test]
        fn a_weight_stays_between_its_bounds(weight in LEAST_WEIGHT..=WHOLE, anomalous: bool) {
            let result = if anomalous { AnomalyResult::Anomalous } else { AnomalyResult::Normal };
            prop_assert!((LEAST_WEIGHT..=WHOLE).contains(&next_weight(weight, result)));
        }
    }
}

//! Routing algorithms: which of the usable targets takes a request.
//!
//! ELB page: "Edit target group attributes for your Application Load Balancer"
//! (routing algorithms). Pure: the caller keeps the cursor, usually an atomic
//! counter per target group, and says which targets are usable. Shares that
//! differ from target to target are in [`weighted`], and how they come about in
//! [`slow_start`] and [`anomaly`]. Network load balancers know [`flow_hash`] alone.

pub mod anomaly;
pub mod flow_hash;
pub mod slow_start;
pub mod weighted;

/// `round_robin`: the position among `candidates` usable targets that the cursor points to.
///
/// The caller raises `cursor` by one for each choice. `None` if there is no candidate.
#[must_use]
pub const fn round_robin(cursor: usize, candidates: usize) -> Option<usize> {
    cursor.checked_rem(candidates)
}

/// `least_outstanding_requests`: the id of a candidate with the fewest requests in progress.
///
/// `candidates` yields an id and the number of its outstanding requests, and is gone through twice.
/// Equal ones take turns by `cursor`, which the caller raises by one for each choice. Numbers that
/// change between the two passes may cost the exact minimum, never the choice. `None` if there is no
/// candidate.
#[must_use]
pub fn least_outstanding_requests<T>(
    cursor: usize,
    candidates: impl Iterator<Item = (T, u32)> + Clone,
) -> Option<T> {
    let (least, ties) =
        candidates.clone().fold((u32::MAX, 0_usize), |(least, ties), (_, outstanding)| match outstanding {
            fewer if fewer < least => (fewer, 1),
            same if same == least => (least, ties + 1),
            _ => (least, ties),
        });
    let turn = cursor.checked_rem(ties)?;
    let mut fallback = None;
    let mut equal_before = 0;
    for (id, outstanding) in candidates {
        if outstanding > least {
            fallback.get_or_insert(id);
        } else if equal_before == turn {
            return Some(id);
        } else {
            equal_before += 1;
            fallback = Some(id);
        }
    }
    fallback
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, collections::HashMap};

    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(cursor: usize, outstanding: &[u32], expected: Option<usize>) {
        let candidates = outstanding.iter().copied().enumerate();
        assert_eq!(least_outstanding_requests(cursor, candidates), expected);
    }

    #[test]
    fn the_least_loaded_target_is_chosen_and_equal_ones_take_turns() {
        check(0, &[3, 1, 2], Some(1));
        check(7, &[3, 1, 2], Some(1));
        check(0, &[0, 5, 0], Some(0));
        check(1, &[0, 5, 0], Some(2));
        check(2, &[0, 5, 0], Some(0));
        check(usize::MAX, &[u32::MAX], Some(0));
    }

    #[test]
    fn without_candidates_there_is_no_choice() {
        check(3, &[], None);
        assert_eq!(round_robin(3, 0), None);
    }

    #[test]
    fn counts_that_rise_between_the_passes_still_give_a_choice() {
        let reads = Cell::new(0);
        let candidates = [0, 1].into_iter().map(|id| {
            reads.set(reads.get() + 1);
            (id, if reads.get() <= 2 { 0 } else { 9 })
        });
        assert_eq!(least_outstanding_requests(1, candidates), Some(0));
    }

    proptest! {
        #[test]
        fn round_robin_gives_each_target_the_same_share(
            start in 0..usize::MAX / 2,
            candidates in 1..20_usize,
            rounds in 1..5_usize,
        ) {
            let mut shares = HashMap::new();
            for cursor in start..start + candidates * rounds {
                *shares.entry(round_robin(cursor, candidates).unwrap()).or_insert(0) += 1;
            }
            prop_assert_eq!(shares.len(), candidates);
            prop_assert!(shares.values().all(|&share| share == rounds));
        }

        #[test]
        fn requests_that_never_end_spread_evenly(
            start in 0..usize::MAX / 2,
            candidates in 1..12_usize,
            requests in 0..100_usize,
        ) {
            let mut outstanding = vec![0_u32; candidates];
            for cursor in start..start + requests {
                let chosen =
                    least_outstanding_requests(cursor, outstanding.iter().copied().enumerate()).unwrap();
                outstanding[chosen] += 1;
            }
            let (most, least) = (outstanding.iter().max().unwrap(), outstanding.iter().min().unwrap());
            prop_assert!(most - least <= 1);
        }

        #[test]
        fn nothing_less_loaded_is_left_aside(cursor: usize, outstanding in prop::collection::vec(0..6_u32, 1..20)) {
            let chosen = least_outstanding_requests(cursor, outstanding.iter().copied().enumerate()).unwrap();
            prop_assert_eq!(outstanding[chosen], *outstanding.iter().min().unwrap());
        }
    }
}

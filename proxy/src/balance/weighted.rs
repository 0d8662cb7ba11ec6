//! Weighted choice: of a target group in a forward action, and of a target
//! whose share is lowered.
//!
//! ELB pages: "Action types for listener rules" (forward), "Automatic target
//! weights". Pure: the draw is an argument.

/// The position that `draw` falls on when each position has a share of `weights`.
///
/// `draw` is anywhere in its range, which the shares divide among themselves without favouring any.
/// `None` if the weights add up to 0. Weights are at most [`WHOLE`], positions at most a few thousand.
pub fn choose(draw: u32, weights: impl Iterator<Item = u32> + Clone) -> Option<usize> {
    let total: u64 = weights.clone().map(u64::from).sum();
    let mut point = (u64::from(draw) * total) >> u32::BITS;
    for (index, weight) in weights.enumerate() {
        match point.checked_sub(u64::from(weight)) {
            Some(left) => point = left,
            None => return Some(index),
        }
    }
    None
}

/// The position that `draw` falls on when `positions` have the same share; `None` without positions.
#[must_use]
pub fn choose_evenly(draw: u32, positions: usize) -> Option<usize> {
    let point = (u64::from(draw) * u64::try_from(positions).ok()?) >> u32::BITS;
    usize::try_from(point).ok().filter(|point| *point < positions)
}

/// The weight of a target whose share is not lowered.
pub const WHOLE: u32 = 1000;

/// The `cursor`th draw of a sequence that covers its range evenly at every length: choices by weight
/// with it take turns as in a round robin, without memory.
///
/// The cursor times the golden ratio (Weyl's sequence).
#[must_use]
pub const fn in_turn(cursor: usize) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the low bits wrap round, as they should")]
    let cursor = cursor as u32;
    cursor.wrapping_mul(0x9E37_79B9)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shares_begin_and_end_where_the_weights_say() {
        let check = |draw, weights: &[u32], expected| {
            assert_eq!(choose(draw, weights.iter().copied()), expected, "{draw} {weights:?}");
        };
        check(0, &[1, 1], Some(0));
        check(u32::MAX / 2, &[1, 1], Some(0));
        check(u32::MAX / 2 + 1, &[1, 1], Some(1));
        check(u32::MAX, &[1, 1], Some(1));
        check(u32::MAX, &[1, 0], Some(0));
        check(0, &[0, 1], Some(1));
        check(u32::MAX, &[999, 999, 999, 999, 999], Some(4));
        check(7, &[0, 0], None);
        check(7, &[], None);
    }

    proptest! {
        #[test]
        fn an_even_choice_is_one_of_equal_weights(draw: u32, positions in 0..20_usize) {
            let equal = std::iter::repeat_n(1, positions);
            prop_assert_eq!(choose_evenly(draw, positions), choose(draw, equal));
        }

        #[test]
        fn what_has_no_weight_is_never_chosen(draw: u32, weights in prop::collection::vec(0..=999_u32, 0..6)) {
            let chosen = choose(draw, weights.iter().copied());
            prop_assert_eq!(chosen.is_none(), weights.iter().all(|weight| *weight == 0));
            prop_assert!(chosen.is_none_or(|index| weights[index] > 0));
        }

        #[test]
        fn turns_come_as_often_as_the_weights_say(
            start: u32,
            weights in prop::collection::vec(1..=WHOLE, 1..8),
        ) {
            const ROUNDS: usize = 4000;
            let mut counts = vec![0_u32; weights.len()];
            for cursor in start as usize..start as usize + ROUNDS {
                counts[choose(in_turn(cursor), weights.iter().copied()).unwrap()] += 1;
            }
            let total: u32 = weights.iter().sum();
            for (count, weight) in counts.iter().zip(&weights) {
                let expected = f64::from(*weight) / f64::from(total) * ROUNDS as f64;
                prop_assert!((f64::from(*count) - expected).abs() <= 24.0, "{counts:?} {weights:?}");
            }
        }
    }
}

//! What judgements count with.

use crate::record;

/// The one in the middle of what is sorted.
pub(crate) fn median(sorted: &[f64]) -> Option<f64> {
    sorted.get(sorted.len() / 2).copied()
}

/// A count as a figure.
pub(crate) fn counted(count: usize) -> f64 {
    record::number(count as u64)
}

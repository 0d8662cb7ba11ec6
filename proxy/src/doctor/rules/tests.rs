//! What all rules have in common.

use super::*;

#[test]
fn codes_are_sorted_and_there_once() {
    assert!(ALL.is_sorted_by(|a, b| a.code < b.code));
}

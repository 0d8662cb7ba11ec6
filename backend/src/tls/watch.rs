//! When files that change are worth reading: two files are replaced one after
//! the other, and each perhaps in several writes.

use super::files::Fingerprint;

/// What was seen of the files.
#[derive(Debug)]
pub(super) struct Watch {
    /// What was last taken up, whether it could be used or not.
    taken_up: Fingerprint,
    /// What the last look saw.
    seen: Fingerprint,
}

impl Watch {
    pub(super) fn new(loaded: Fingerprint) -> Self {
        Self { taken_up: loaded, seen: loaded }
    }

    /// Whether to take up what is there: new, and the same as at the last look.
    pub(super) fn look(&mut self, now: Fingerprint) -> bool {
        let is_still = std::mem::replace(&mut self.seen, now) == now;
        if is_still && now != self.taken_up {
            self.taken_up = now;
            return true;
        }
        false
    }

    /// Whatever is there is taken up.
    pub(super) fn take_up(&mut self, now: Fingerprint) {
        self.taken_up = now;
        self.seen = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(looks: &[u64], expected: &[bool]) {
        let mut watch = Watch::new(Fingerprint(1));
        let taken: Vec<_> = looks.iter().map(|&look| watch.look(Fingerprint(look))).collect();
        assert_eq!(taken, expected, "{looks:?}");
    }

    #[test]
    fn what_does_not_change_is_left_alone() {
        check(&[1, 1, 1], &[false, false, false]);
    }

    #[test]
    fn a_change_is_taken_up_once_when_it_holds_still() {
        check(&[2, 3, 3, 3], &[false, false, true, false]);
    }

    #[test]
    fn a_change_that_goes_back_is_none() {
        check(&[2, 1, 1], &[false, false, false]);
    }

    #[test]
    fn what_was_asked_for_is_not_taken_up_again() {
        let mut watch = Watch::new(Fingerprint(1));
        watch.take_up(Fingerprint(2));
        assert!(!watch.look(Fingerprint(2)));
        assert!(!watch.look(Fingerprint(1)));
        assert!(watch.look(Fingerprint(1)));
    }
}

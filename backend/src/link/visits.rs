//! What the task of a link has not heard yet of requests that came and left.

use std::collections::VecDeque;

use super::LinkEvent;

/// Visits told one by one before the oldest are left out: a task that is behind
/// needs to know where things stand, not all that led there.
const LIMIT: usize = 4;

/// Arrivals and departures, which alternate.
#[derive(Debug, Default)]
pub(super) struct Visits(VecDeque<LinkEvent>);

impl Visits {
    /// A request attached, detached or broke.
    pub(super) fn note(&mut self, event: LinkEvent) {
        self.0.push_back(event);
        if self.0.len() <= LIMIT {
            return;
        }
        // The oldest two undo each other, except that a broken request must not
        // go unheard.
        let broken = self.0.drain(..2).any(|event| event == LinkEvent::Broken);
        if broken && let Some(departure) = self.0.iter_mut().find(|event| **event == LinkEvent::Detached) {
            *departure = LinkEvent::Broken;
        }
    }

    /// The next one to tell.
    pub(super) fn next(&mut self) -> Option<LinkEvent> {
        self.0.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::LinkEvent::{Attached, Broken, Detached};
    use super::*;

    #[test]
    fn visits_are_told_in_order() {
        let mut visits = Visits::default();
        for event in [Attached, Detached, Attached] {
            visits.note(event);
        }
        assert_eq!([visits.next(), visits.next()], [Some(Attached), Some(Detached)]);
        assert_eq!([visits.next(), visits.next()], [Some(Attached), None]);
    }

    #[test]
    fn a_thousand_visits_keep_their_end_and_a_break() {
        let mut visits = Visits::default();
        visits.note(Attached);
        visits.note(Broken);
        for _ in 0..1000 {
            visits.note(Attached);
            visits.note(Detached);
        }
        visits.note(Attached);
        let told: Vec<_> = std::iter::from_fn(|| visits.next()).collect();
        assert!(told.len() <= LIMIT, "{told:?}");
        assert_eq!(told.iter().filter(|event| **event == Broken).count(), 1, "{told:?}");
        assert_eq!(told.last(), Some(&Attached));
    }
}

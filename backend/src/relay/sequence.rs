//! Sequence numbers, by which a receiver knows what it missed.
//!
//! They count the messages of one origin on one channel, from 1: a receiver
//! that subscribes to some channels only still sees every number of these. A
//! channel not used for long is forgotten by its origin and begins at 1 again.

use std::collections::VecDeque;

use super::recent::Recent;

/// Channels that are remembered, at least.
const CHANNELS: usize = 65_536;

/// Origins that are remembered of a channel: instances, and those that they were
/// before a restart.
const ORIGINS: usize = 128;

/// The numbers that an origin gives.
#[derive(Debug)]
pub(super) struct Sequences(Recent<u64>);

impl Default for Sequences {
    fn default() -> Self {
        Self(Recent::new(CHANNELS))
    }
}

impl Sequences {
    /// The number of the next message on a channel.
    pub(super) fn next(&mut self, channel: &str) -> u64 {
        if let Some(last) = self.0.get_mut(channel) {
            *last += 1;
            return *last;
        }
        self.0.insert(channel.to_owned(), 1);
        1
    }
}

/// What a number says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The first one known, or the one after the last.
    Expected,
    /// So many before it did not come.
    After(u64),
    /// It came before.
    Again,
}

/// What a number below the last one means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lower {
    /// The origin forgot the channel: nothing is ever published twice.
    Restart,
    /// The message came before: the origin forgets no channel.
    Repeat,
}

/// The numbers that a receiver saw.
#[derive(Debug)]
pub(super) struct Tracker {
    /// Of each channel the origins and their last numbers, newest origin last.
    channels: Recent<VecDeque<(String, u64)>>,
    lower: Lower,
}

impl Tracker {
    pub(super) fn new(lower: Lower) -> Self {
        Self { channels: Recent::new(CHANNELS), lower }
    }

    /// Takes note of a message.
    pub(super) fn arrived(&mut self, origin: &str, channel: &str, number: u64) -> Arrival {
        let Some(origins) = self.channels.get_mut(channel) else {
            self.channels.insert(channel.to_owned(), VecDeque::from([(origin.to_owned(), number)]));
            return Arrival::Expected;
        };
        let Some((_, last)) = origins.iter_mut().find(|(known, _)| known == origin) else {
            if origins.len() >= ORIGINS {
                origins.pop_front();
            }
            origins.push_back((origin.to_owned(), number));
            return Arrival::Expected;
        };
        let before = if number > *last {
            *last
        } else if self.lower == Lower::Restart {
            0
        } else {
            return Arrival::Again;
        };
        *last = number;
        match number.saturating_sub(before).saturating_sub(1) {
            0 => Arrival::Expected,
            missed => Arrival::After(missed),
        }
    }

    /// Forgets a channel that messages no longer come from.
    pub(super) fn forget(&mut self, channel: &str) {
        self.channels.remove(channel);
    }

    /// Forgets all other channels.
    pub(super) fn retain(&mut self, keep: impl FnMut(&str) -> bool) {
        self.channels.retain(keep);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_channel_counts_from_one() {
        let mut sequences = Sequences::default();
        let numbers = ["a", "a", "b", "a", "b"].map(|channel| sequences.next(channel));
        assert_eq!(numbers, [1, 2, 1, 3, 2]);
    }

    #[test]
    fn a_first_message_is_no_gap_and_a_jump_is() {
        let mut tracker = Tracker::new(Lower::Restart);
        assert_eq!(tracker.arrived("o", "a", 40), Arrival::Expected);
        assert_eq!(tracker.arrived("o", "a", 41), Arrival::Expected);
        assert_eq!(tracker.arrived("o", "b", 7), Arrival::Expected);
        assert_eq!(tracker.arrived("p", "a", 1), Arrival::Expected);
        assert_eq!(tracker.arrived("o", "a", 44), Arrival::After(2));
        tracker.retain(|channel| channel == "b");
        assert_eq!(tracker.arrived("o", "a", 90), Arrival::Expected);
        assert_eq!(tracker.arrived("o", "b", 9), Arrival::After(1));
        tracker.forget("b");
        assert_eq!(tracker.arrived("o", "b", 50), Arrival::Expected);
    }

    #[test]
    fn origins_that_restart_again_and_again_take_no_memory() {
        let mut tracker = Tracker::new(Lower::Restart);
        for n in 0..1000 {
            assert_eq!(tracker.arrived(&n.to_string(), "a", 5), Arrival::Expected);
        }
        assert_eq!(tracker.channels.get_mut("a").unwrap().len(), ORIGINS);
        assert_eq!(tracker.arrived("999", "a", 7), Arrival::After(1));
    }

    #[test]
    fn a_lower_number_is_a_restart_or_a_repeat() {
        let mut tracker = Tracker::new(Lower::Restart);
        tracker.arrived("o", "a", 40);
        assert_eq!(tracker.arrived("o", "a", 1), Arrival::Expected);
        tracker.arrived("o", "a", 9);
        assert_eq!(tracker.arrived("o", "a", 3), Arrival::After(2));
        let mut tracker = Tracker::new(Lower::Repeat);
        tracker.arrived("o", "a", 40);
        assert_eq!(tracker.arrived("o", "a", 40), Arrival::Again);
        assert_eq!(tracker.arrived("o", "a", 39), Arrival::Again);
        assert_eq!(tracker.arrived("o", "a", 41), Arrival::Expected);
    }

    proptest! {
        /// Whatever is lost after the first message seen and before the last one,
        /// the count is exact.
        #[test]
        fn the_gap_is_what_was_lost(arrives in proptest::collection::vec(any::<bool>(), 0..200)) {
            let mut sequences = Sequences::default();
            let mut tracker = Tracker::new(Lower::Restart);
            let mut missed = 0;
            for &arrives in &arrives {
                let number = sequences.next("a");
                if arrives && let Arrival::After(gap) = tracker.arrived("o", "a", number) {
                    missed += gap;
                }
            }
            let first = arrives.iter().position(|&arrives| arrives).unwrap_or(0);
            let last = arrives.iter().rposition(|&arrives| arrives).unwrap_or(0);
            let lost = arrives[first.min(last)..last].iter().filter(|&&arrives| !arrives).count();
            prop_assert_eq!(missed, lost as u64);
        }
    }
}

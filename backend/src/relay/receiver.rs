//! From what a connection says to what is delivered.

use std::collections::{BTreeSet, HashSet};

use super::envelope::{self, Envelope};
use super::inbox::{Arrived, Event};
use super::interests::Subscription;
use super::sequence::{Arrival, Lower, Tracker};
use super::{Received, glob};

/// What to do about an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Deliver this; so many before it did not come.
    Deliver(Received, u64),
    /// The message came before.
    Repeated,
    /// It is no message.
    Malformed,
    /// It is larger than the limit, in bytes.
    TooLarge,
    /// Nothing: it is our own, or comes another way as well, or is no message.
    Nothing,
}

/// Knows what the connection is subscribed to at each point of the stream of
/// events, and so delivers a message once that Redis sends through a channel
/// and through patterns.
#[derive(Debug)]
pub(super) struct Receiver {
    origin: String,
    limit: usize,
    tracker: Tracker,
    channels: HashSet<String>,
    patterns: BTreeSet<String>,
}

impl Receiver {
    /// Drops what `origin` published, and bodies above `limit` bytes.
    pub(super) fn new(origin: String, limit: usize, lower: Lower) -> Self {
        Self {
            origin,
            limit,
            tracker: Tracker::new(lower),
            channels: HashSet::new(),
            patterns: BTreeSet::new(),
        }
    }

    /// A new connection, which has no subscriptions. Numbers are remembered of
    /// channels that are still needed, so that what was missed is known.
    pub(super) fn reconnected(&mut self, is_needed: impl FnMut(&str) -> bool) {
        self.channels.clear();
        self.patterns.clear();
        self.tracker.retain(is_needed);
    }

    /// Takes an event.
    pub(super) fn handle(&mut self, event: Event) -> Outcome {
        match event {
            Event::Message(arrived) => return self.handle_message(&arrived),
            Event::Subscribed(Subscription::Channel(channel)) => {
                self.channels.insert(channel);
            }
            Event::Subscribed(Subscription::Pattern(pattern)) => {
                self.patterns.insert(pattern);
            }
            Event::Unsubscribed(Subscription::Channel(channel)) => {
                self.channels.remove(&channel);
                if !self.patterns.iter().any(|pattern| glob::matches(pattern, &channel)) {
                    self.tracker.forget(&channel);
                }
            }
            Event::Unsubscribed(Subscription::Pattern(pattern)) => {
                self.patterns.remove(&pattern);
                let Self { tracker, channels, patterns, .. } = self;
                tracker.retain(|channel| {
                    channels.contains(channel) || patterns.iter().any(|p| glob::matches(p, channel))
                });
            }
            Event::Disconnected => {}
        }
        Outcome::Nothing
    }

    /// Takes a message of a stream, which comes one way only.
    pub(super) fn handle_entry(&mut self, stream: &str, payload: &[u8]) -> Outcome {
        let Some(Envelope { received, origin, sequence }) = envelope::decode(payload) else {
            return Outcome::Malformed;
        };
        if origin == self.origin {
            return Outcome::Nothing;
        }
        let arrival = sequence.map(|number| self.tracker.arrived(&origin, stream, number));
        if received.body.len() > self.limit {
            return Outcome::TooLarge;
        }
        match arrival {
            Some(Arrival::Again) => Outcome::Repeated,
            Some(Arrival::After(missed)) => Outcome::Deliver(received, missed),
            Some(Arrival::Expected) | None => Outcome::Deliver(received, 0),
        }
    }

    /// Forgets the numbers of a stream, of which what is missing was counted.
    pub(super) fn forget(&mut self, stream: &str) {
        self.tracker.forget(stream);
    }

    fn handle_message(&mut self, arrived: &Arrived) -> Outcome {
        if let Some(pattern) = &arrived.pattern {
            let first = self.patterns.iter().find(|p| glob::matches(p, &arrived.channel));
            if self.channels.contains(&arrived.channel) || first.is_some_and(|first| first != pattern) {
                return Outcome::Nothing;
            }
        }
        self.handle_entry(&arrived.channel, &arrived.payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receiver() -> Receiver {
        Receiver::new("me".to_owned(), 100, Lower::Restart)
    }

    fn message(pattern: Option<&str>, channel: &str, origin: &str, seq: u64) -> Event {
        let payload =
            format!(r#"{{"destination":"/topic/a","payload":"1","originServerId":"{origin}","seq":{seq}}}"#);
        Event::Message(Arrived {
            pattern: pattern.map(str::to_owned),
            channel: channel.to_owned(),
            payload: payload.into_bytes(),
        })
    }

    fn missed(outcome: &Outcome) -> Option<u64> {
        match outcome {
            Outcome::Deliver(_, missed) => Some(*missed),
            _ => None,
        }
    }

    #[test]
    fn our_own_messages_and_no_messages_are_not_delivered() {
        let mut receiver = receiver();
        assert_eq!(receiver.handle(message(None, "ws:a", "me", 1)), Outcome::Nothing);
        assert_eq!(missed(&receiver.handle(message(None, "ws:a", "you", 1))), Some(0));
        assert_eq!(receiver.handle_entry("ws:a", b"x"), Outcome::Malformed);
        let large = format!(r#"{{"destination":"/topic/a","payload":"{}"}}"#, "1".repeat(101));
        assert_eq!(receiver.handle_entry("ws:a", large.as_bytes()), Outcome::TooLarge);
    }

    #[test]
    fn what_comes_through_a_channel_and_patterns_is_delivered_once() {
        let mut receiver = receiver();
        for pattern in ["ws:*", "ws:a*"] {
            receiver.handle(Event::Subscribed(Subscription::Pattern(pattern.to_owned())));
        }
        // Redis sends one copy for each.
        let copies = |receiver: &mut Receiver, seq, ways: &[Option<&str>]| {
            let outcomes: Vec<_> =
                ways.iter().map(|way| receiver.handle(message(*way, "ws:ab", "you", seq))).collect();
            outcomes.iter().filter_map(missed).collect::<Vec<_>>()
        };
        assert_eq!(copies(&mut receiver, 1, &[Some("ws:*"), Some("ws:a*")]), [0]);
        let channel = Subscription::Channel("ws:ab".to_owned());
        receiver.handle(Event::Subscribed(channel.clone()));
        assert_eq!(copies(&mut receiver, 2, &[None, Some("ws:*"), Some("ws:a*")]), [0]);
        receiver.handle(Event::Unsubscribed(Subscription::Pattern("ws:*".to_owned())));
        assert_eq!(copies(&mut receiver, 4, &[None, Some("ws:a*")]), [1]);
        receiver.handle(Event::Unsubscribed(channel));
        assert_eq!(copies(&mut receiver, 5, &[Some("ws:a*")]), [0]);
    }

    #[test]
    fn a_gap_is_counted_over_a_new_connection_but_not_over_an_unsubscribe() {
        let mut receiver = receiver();
        let channel = || Subscription::Channel("ws:a".to_owned());
        receiver.handle(Event::Subscribed(channel()));
        receiver.handle(message(None, "ws:a", "you", 1));
        receiver.reconnected(|channel| channel == "ws:a");
        receiver.handle(Event::Subscribed(channel()));
        assert_eq!(missed(&receiver.handle(message(None, "ws:a", "you", 4))), Some(2));
        receiver.handle(Event::Unsubscribed(channel()));
        receiver.handle(Event::Subscribed(channel()));
        assert_eq!(missed(&receiver.handle(message(None, "ws:a", "you", 9))), Some(0));
    }
}

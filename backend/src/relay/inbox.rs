//! What came from Redis and waits to be delivered.
//!
//! The connection is read as fast as it can be, since Redis cuts off who reads
//! slowly (`client-output-buffer-limit pubsub`); what is too much is dropped
//! here, where it is counted.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::interests::Subscription;

/// What a connection says, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// A message.
    Message(Arrived),
    /// From here on messages come through this.
    Subscribed(Subscription),
    /// From here on none do.
    Unsubscribed(Subscription),
    /// The connection is gone.
    Disconnected,
}

/// A message as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arrived {
    /// The pattern it came through; none if its channel is subscribed to.
    pub(super) pattern: Option<String>,
    /// Where it was published.
    pub(super) channel: String,
    /// The envelope.
    pub(super) payload: Vec<u8>,
}

/// A queue of events. Above its limits the oldest messages go; other events stay,
/// of which there are no more than subscriptions.
#[derive(Debug)]
pub(super) struct Inbox {
    state: Mutex<State>,
    limit: usize,
    byte_limit: usize,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Event>,
    messages: usize,
    /// Of their payloads.
    bytes: usize,
}

impl State {
    /// Takes note of an event that goes.
    fn removed(&mut self, event: Option<&Event>) {
        if let Some(Event::Message(arrived)) = event {
            self.messages -= 1;
            self.bytes -= arrived.payload.len();
        }
    }
}

impl Inbox {
    /// A queue of at most `limit` messages, whose payloads have `byte_limit`
    /// bytes at most.
    pub(super) fn new(limit: usize, byte_limit: usize) -> Self {
        Self { state: Mutex::default(), limit, byte_limit, filled: Notify::new() }
    }

    /// Queues an event; how many messages were dropped for it.
    pub(super) fn push(&self, event: Event) -> u64 {
        let mut state = self.state.lock();
        if let Event::Message(arrived) = &event {
            state.messages += 1;
            state.bytes += arrived.payload.len();
        }
        state.events.push_back(event);
        let mut dropped = 0;
        while (state.messages > self.limit || state.bytes > self.byte_limit)
            && let Some(oldest) = state.events.iter().position(|event| matches!(event, Event::Message(_)))
        {
            let oldest = state.events.remove(oldest);
            state.removed(oldest.as_ref());
            dropped += 1;
        }
        drop(state);
        self.filled.notify_one();
        dropped
    }

    /// The next event. For one task.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(super) async fn next(&self) -> Event {
        loop {
            let event = {
                let mut state = self.state.lock();
                let event = state.events.pop_front();
                state.removed(event.as_ref());
                event
            };
            match event {
                Some(event) => return event,
                None => self.filled.notified().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn above_the_limit_messages_go_and_the_rest_stays() {
        let message =
            |n: u8| Event::Message(Arrived { pattern: None, channel: "a".to_owned(), payload: vec![n] });
        let subscribed = Event::Subscribed(Subscription::Channel("a".to_owned()));
        let inbox = Inbox::new(2, 100);
        let events = [subscribed.clone(), message(1), message(2), message(3), Event::Disconnected];
        let dropped: u64 = events.into_iter().map(|event| inbox.push(event)).sum();
        assert_eq!(dropped, 1);
        for event in [subscribed, message(2), message(3), Event::Disconnected] {
            assert_eq!(inbox.next().await, event);
        }
    }
    #[test]
    fn large_messages_count_by_their_bytes() {
        let message = |bytes: usize| {
            Event::Message(Arrived { pattern: None, channel: "a".to_owned(), payload: vec![0; bytes] })
        };
        let inbox = Inbox::new(100, 10);
        assert_eq!([4, 6, 5, 11, 10].map(|bytes| inbox.push(message(bytes))), [0, 0, 2, 2, 0]);
        assert_eq!(inbox.state.lock().bytes, 10);
    }
}

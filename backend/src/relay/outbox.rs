//! What waits to be published.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Address;
use super::sequence::Sequences;

/// What a message takes besides its texts, about, in bytes.
const OVERHEAD: usize = 128;

/// A message of this instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outgoing {
    /// The channel or stream it goes to.
    pub(super) channel: String,
    pub(super) address: Address,
    pub(super) content_type: Option<String>,
    pub(super) body: Bytes,
    /// Milliseconds since 1970.
    pub(super) timestamp: u64,
    /// Its number on the channel. Given by the outbox.
    pub(super) sequence: u64,
}

impl Outgoing {
    fn size(&self) -> usize {
        let texts = match &self.address {
            Address::Destination(name) | Address::Pattern(name) => name.len(),
            Address::User { name, queue } => name.len() + queue.len(),
        };
        OVERHEAD + self.channel.len() + texts + self.body.len()
    }
}

/// A queue in the order of publishing. Above its limit the oldest messages go:
/// of a conversation the newest part matters most. A dropped message had its
/// number, so that the others see a gap.
#[derive(Debug)]
pub(super) struct Outbox {
    state: Mutex<State>,
    limit: usize,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Outgoing>,
    bytes: usize,
    sequences: Sequences,
}

impl State {
    /// Keeps the newest within the limit; how many went.
    fn shed(&mut self, limit: usize) -> u64 {
        let mut dropped = 0;
        while self.bytes > limit
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.bytes -= oldest.size();
            dropped += 1;
        }
        dropped
    }
}

impl Outbox {
    /// A queue of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), limit, filled: Notify::new() }
    }

    /// Numbers and queues a message; how many were dropped for it.
    pub(super) fn push(&self, mut message: Outgoing) -> u64 {
        let mut state = self.state.lock();
        message.sequence = state.sequences.next(&message.channel);
        state.bytes += message.size();
        state.waiting.push_back(message);
        let dropped = state.shed(self.limit);
        drop(state);
        self.filled.notify_one();
        dropped
    }

    /// Takes up to `count` of the oldest messages; empty if there are none.
    pub(super) fn take(&self, count: usize) -> Vec<Outgoing> {
        let mut state = self.state.lock();
        let count = count.min(state.waiting.len());
        let taken: Vec<_> = state.waiting.drain(..count).collect();
        state.bytes -= taken.iter().map(Outgoing::size).sum::<usize>();
        taken
    }

    /// Puts back what was taken and not published; how many were dropped for
    /// it.
    pub(super) fn put_back(&self, messages: Vec<Outgoing>) -> u64 {
        let mut state = self.state.lock();
        for message in messages.into_iter().rev() {
            state.bytes += message.size();
            state.waiting.push_front(message);
        }
        state.shed(self.limit)
    }

    /// Waits until there may be something to take. For one task.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(super) async fn filled(&self) {
        while self.state.lock().waiting.is_empty() {
            self.filled.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(channel: &str, body: usize) -> Outgoing {
        Outgoing {
            channel: channel.to_owned(),
            address: Address::Destination(String::new()),
            content_type: None,
            body: Bytes::from(vec![0; body]),
            timestamp: 0,
            sequence: 0,
        }
    }

    #[test]
    fn above_the_limit_the_oldest_go() {
        let outbox = Outbox::new(1000);
        let dropped: u64 = (0..10).map(|_| outbox.push(message("a", 200 - OVERHEAD - 1))).sum();
        assert_eq!(dropped, 5);
        let numbers: Vec<_> = outbox.take(3).iter().map(|m| m.sequence).collect();
        assert_eq!(numbers, [6, 7, 8]);
        assert_eq!(outbox.push(message("a", 5000)), 3);
        assert!(outbox.take(10).is_empty());
        assert_eq!(outbox.state.lock().bytes, 0);
    }

    #[test]
    fn what_is_put_back_comes_first_again() {
        let outbox = Outbox::new(10_000);
        for _ in 0..4 {
            outbox.push(message("a", 1));
        }
        let taken = outbox.take(2);
        assert_eq!(outbox.put_back(taken), 0);
        let numbers: Vec<_> = outbox.take(9).iter().map(|m| m.sequence).collect();
        assert_eq!(numbers, [1, 2, 3, 4]);
    }
}

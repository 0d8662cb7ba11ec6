//! Messages that a subscriber has to acknowledge.
//!
//! Each subscription with an ack mode has a window in the outbox of its
//! connection. So many copies are in flight, delivered and not settled; what is
//! published beyond is held back until room is made. A copy that is refused is
//! delivered once more, behind the others; refused again it is discarded. What is
//! not settled when the subscription or its connection ends is lost with it: each
//! subscriber has its own copy, which nobody else can take over.
//!
//! Pure: what is to be delivered is handed back. The outbox sees to it that all
//! copies together stay within its limit.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use super::outbox::Item;

/// Names a window of an outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WindowId(u32);

/// Which messages one acknowledgement settles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settling {
    /// The message named, and all delivered before it.
    Cumulative,
    /// The message named.
    Individual,
}

/// How a subscription acknowledges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledging {
    /// What one acknowledgement settles.
    pub settling: Settling,
    /// Copies that may be in flight.
    pub window: usize,
    /// Comes after the head of a copy that is delivered again.
    pub redelivered: Bytes,
}

/// What an acknowledgement came to, in copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settled {
    /// Taken.
    pub acknowledged: u64,
    /// Refused, and on their way again.
    pub redelivered: u64,
    /// Refused for the second time, and gone.
    pub discarded: u64,
}

impl Settled {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            acknowledged: self.acknowledged + other.acknowledged,
            redelivered: self.redelivered + other.redelivered,
            discarded: self.discarded + other.discarded,
        }
    }
}

/// No message of this number waits to be settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such message waits for an acknowledgement")]
pub struct UnknownMessage;

/// The copy of a message in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) window: WindowId,
    /// Of the message in its broker.
    pub(super) number: u64,
}

/// What the subscriber says of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Acknowledged,
    Refused,
}

/// All windows of an outbox.
#[derive(Debug, Default)]
pub(super) struct Windows {
    windows: HashMap<WindowId, Window>,
    next: u32,
    /// Bytes of copies that are held back.
    held: usize,
    /// Bytes of copies in flight.
    in_flight: usize,
}

#[derive(Debug)]
struct Window {
    terms: Acknowledging,
    /// In the order of their delivery.
    in_flight: VecDeque<Copy>,
    /// Not delivered yet, in order.
    held: VecDeque<Copy>,
}

#[derive(Debug, Clone)]
struct Copy {
    number: u64,
    item: Item,
    redelivered: bool,
}

impl Windows {
    /// Opens a window.
    pub(super) fn open(&mut self, terms: Acknowledging) -> WindowId {
        let id = WindowId(self.next);
        self.next = self.next.wrapping_add(1);
        self.windows.insert(id, Window { terms, in_flight: VecDeque::new(), held: VecDeque::new() });
        id
    }

    /// Closes a window; how many copies are lost with it.
    pub(super) fn close(&mut self, id: WindowId) -> u64 {
        let Some(window) = self.windows.remove(&id) else {
            return 0;
        };
        self.in_flight -= bytes(&window.in_flight);
        self.held -= bytes(&window.held);
        count(window.in_flight.len() + window.held.len())
    }

    /// Closes all windows; how many copies are lost with them.
    pub(super) fn clear(&mut self) -> u64 {
        let windows = std::mem::take(&mut self.windows);
        (self.held, self.in_flight) = (0, 0);
        count(windows.values().map(|window| window.in_flight.len() + window.held.len()).sum())
    }

    /// Bytes of copies that are held back.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Bytes of all copies that are not settled.
    pub(super) fn unsettled(&self) -> usize {
        self.held + self.in_flight
    }

    /// Whether there is this window.
    pub(super) fn contains(&self, id: WindowId) -> bool {
        self.windows.contains_key(&id)
    }

    /// Takes a copy: hands it back to be delivered now, or holds it back.
    pub(super) fn offer(&mut self, pending: Pending, item: Item) -> Option<Item> {
        let window = self.windows.get_mut(&pending.window)?;
        let copy = Copy { number: pending.number, item, redelivered: false };
        if window.in_flight.len() < window.terms.window && window.held.is_empty() {
            self.in_flight += copy.item.len();
            let item = copy.item.clone();
            window.in_flight.push_back(copy);
            return Some(item);
        }
        self.held += copy.item.len();
        window.held.push_back(copy);
        None
    }

    /// Settles a message, or it and those before it. `ready` gets what is to be
    /// delivered now.
    pub(super) fn settle(
        &mut self,
        pending: Pending,
        verdict: Verdict,
        ready: &mut Vec<Item>,
    ) -> Result<Settled, UnknownMessage> {
        let window = self.windows.get_mut(&pending.window).ok_or(UnknownMessage)?;
        let is_it = |copy: &Copy| copy.number == pending.number;
        let at = window.in_flight.iter().position(is_it).ok_or(UnknownMessage)?;
        let from = match window.terms.settling {
            Settling::Cumulative => 0,
            Settling::Individual => at,
        };
        let copies: Vec<Copy> = window.in_flight.drain(from..=at).collect();
        let mut settled = Settled::default();
        for copy in copies {
            self.in_flight -= copy.item.len();
            match verdict {
                Verdict::Acknowledged => settled.acknowledged += 1,
                Verdict::Refused if copy.redelivered => settled.discarded += 1,
                Verdict::Refused => {
                    settled.redelivered += 1;
                    let copy = copy.again(&window.terms.redelivered);
                    self.in_flight += copy.item.len();
                    ready.push(copy.item.clone());
                    window.in_flight.push_back(copy);
                }
            }
        }
        while window.in_flight.len() < window.terms.window
            && let Some(copy) = window.held.pop_front()
        {
            self.held -= copy.item.len();
            self.in_flight += copy.item.len();
            ready.push(copy.item.clone());
            window.in_flight.push_back(copy);
        }
        if window.in_flight.is_empty() {
            // Most windows are empty most of the time.
            window.in_flight = VecDeque::new();
            window.held = VecDeque::new();
        }
        Ok(settled)
    }
}

impl Copy {
    /// The copy as it is delivered again.
    fn again(self, redelivered: &Bytes) -> Self {
        let head = [&self.item.head[..], redelivered].concat().into();
        Self { item: Item { head, ..self.item }, redelivered: true, ..self }
    }
}

fn bytes(copies: &VecDeque<Copy>) -> usize {
    copies.iter().map(|copy| copy.item.len()).sum()
}

fn count(copies: usize) -> u64 {
    u64::try_from(copies).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

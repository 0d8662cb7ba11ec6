//! The open connections of all clients, so that they can be looked at.
//!
//! A connection is entered when it has been accepted, handshake included, and
//! leaves with its last request or tunnel: two short locks in its life, none
//! for a request. Numbers are given in the order of entry and never used again,
//! so that a reader can go through millions of connections page by page.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;

use super::Connection;

/// The open connections by their numbers.
#[derive(Debug, Default)]
pub struct Connections(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    open: BTreeMap<u64, Weak<Connection>>,
}

/// A connection's place in the list; dropping it frees the place.
#[derive(Debug)]
pub struct Listed {
    number: u64,
    connections: Arc<Connections>,
}

impl Connections {
    /// Makes a connection that is in the list until it is dropped.
    pub fn enter(self: &Arc<Self>, make: impl FnOnce(Listed) -> Connection) -> Arc<Connection> {
        let mut entries = self.0.lock();
        let number = entries.next;
        entries.next += 1;
        drop(entries);
        let connection = Arc::new(make(Listed { number, connections: Arc::clone(self) }));
        self.0.lock().open.insert(number, Arc::downgrade(&connection));
        connection
    }

    /// Up to `most` open connections with numbers of at least `from`, in their order.
    #[must_use]
    pub fn page(&self, from: u64, most: usize) -> Vec<Arc<Connection>> {
        let entries = self.0.lock();
        entries.open.range(from..).filter_map(|(_, connection)| connection.upgrade()).take(most).collect()
    }
}

impl Listed {
    /// The connection's number.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.connections.0.lock().open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access_log::record::ConnTraceId,
        client::{Meter, Usage, closing::Closing},
        metrics::{Gauge, OpenConnection},
    };

    fn enter(connections: &Arc<Connections>) -> Arc<Connection> {
        let addr = "127.0.0.1:80".parse().unwrap();
        connections.enter(|listed| Connection {
            client: addr,
            local: addr,
            tls: None,
            meter: Arc::new(Meter::new(tokio::time::Instant::now(), std::time::SystemTime::UNIX_EPOCH)),
            expires: tokio::time::Instant::now(),
            trace_id: ConnTraceId(0),
            closing: Closing::default(),
            usage: Usage::default(),
            listed,
            open: OpenConnection::new(Gauge::new("open", "open").unwrap()),
        })
    }

    #[test]
    fn pages_follow_the_order_of_entry_and_closed_ones_are_gone() {
        let connections = Arc::new(Connections::default());
        let all: Vec<_> = (0..5).map(|_| enter(&connections)).collect();
        let numbers = |from, most| -> Vec<u64> {
            connections.page(from, most).iter().map(|connection| connection.listed.number()).collect()
        };
        assert_eq!(numbers(0, 2), [0, 1]);
        assert_eq!(numbers(2, 10), [2, 3, 4]);
        let kept = all.into_iter().nth(3);
        assert_eq!(numbers(0, 10), [3]);
        drop(kept);
        assert_eq!(numbers(0, 10), [0; 0]);
        let next = enter(&connections);
        assert_eq!(next.listed.number(), 5);
    }
}

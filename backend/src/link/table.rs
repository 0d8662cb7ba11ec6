//! The sessions of an endpoint, by their id.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use parking_lot::Mutex;

/// Room for so many sessions is kept; above, it is given back after a crowd.
const KEPT: usize = 256;

/// Open sessions by id, at most so many.
#[derive(Debug)]
pub struct Table<S> {
    sessions: Mutex<HashMap<Box<str>, Arc<S>>>,
    limit: usize,
}

/// No further session is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many sessions")]
pub struct TableFull;

impl<S> Table<S> {
    /// An empty table for at most `limit` sessions.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { sessions: Mutex::default(), limit }
    }

    /// The session of this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Arc<S>> {
        self.sessions.lock().get(id).cloned()
    }

    /// The session of this id, and whether `make` has just made it.
    ///
    /// # Errors
    ///
    /// There is none, and the table is full.
    pub fn get_or_insert(&self, id: &str, make: impl FnOnce() -> S) -> Result<(Arc<S>, bool), TableFull> {
        let mut sessions = self.sessions.lock();
        let full = sessions.len() >= self.limit;
        match sessions.entry(id.into()) {
            Entry::Occupied(entry) => Ok((Arc::clone(entry.get()), false)),
            Entry::Vacant(_) if full => Err(TableFull),
            Entry::Vacant(entry) => Ok((Arc::clone(entry.insert(Arc::new(make()))), true)),
        }
    }

    /// Forgets a session, if the id still names it.
    pub fn remove(&self, id: &str, session: &Arc<S>) {
        let mut sessions = self.sessions.lock();
        if sessions.get(id).is_some_and(|known| Arc::ptr_eq(known, session)) {
            sessions.remove(id);
            if sessions.capacity() > KEPT.max(sessions.len() * 4) {
                let wanted = sessions.len() * 2;
                sessions.shrink_to(wanted);
            }
        }
    }

    /// For how many there is room.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.sessions.lock().capacity()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.lock().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

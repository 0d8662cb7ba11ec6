//! How many connections one user, or one address, has open.

use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::Arc;

use parking_lot::Mutex;

/// Open connections by their key, none of which has more than the limit.
#[derive(Debug)]
pub struct Connections<K: Eq + Hash> {
    open: Mutex<HashMap<K, usize>>,
    limit: NonZeroUsize,
}

/// A place of a key; dropping it gives it back.
#[derive(Debug)]
pub struct Held<K: Eq + Hash> {
    connections: Arc<Connections<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> Connections<K> {
    /// Nobody has a connection.
    #[must_use]
    pub fn new(limit: NonZeroUsize) -> Self {
        Self { open: Mutex::default(), limit }
    }

    /// A place for one more connection; none when the key has as many as it
    /// may: the newest is refused, and the open ones are left alone.
    #[must_use]
    pub fn hold(self: &Arc<Self>, key: K) -> Option<Held<K>> {
        let mut open = self.open.lock();
        let count = open.entry(key.clone()).or_default();
        if *count >= self.limit.get() {
            return None;
        }
        *count += 1;
        drop(open);
        Some(Held { connections: Arc::clone(self), key })
    }

    /// How many keys have a connection.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.open.lock().len()
    }
}

impl<K: Eq + Hash> Held<K> {
    /// Whose place it is.
    #[must_use]
    pub fn key(&self) -> &K {
        &self.key
    }
}

impl<K: Eq + Hash> Drop for Held<K> {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock();
        if let Some(count) = open.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_refused_until_one_of_the_same_key_ends() {
        let connections = Arc::new(Connections::new(NonZeroUsize::new(2).unwrap()));
        let first = connections.hold("ann").unwrap();
        let _second = connections.hold("ann").unwrap();
        assert!(connections.hold("ann").is_none());
        let _other = connections.hold("bob").unwrap();
        assert_eq!(first.key(), &"ann");
        drop(first);
        assert!(connections.hold("ann").is_some());
    }

    #[test]
    fn who_has_none_is_forgotten() {
        let connections = Arc::new(Connections::new(NonZeroUsize::MIN));
        drop(connections.hold(1));
        assert_eq!(connections.keys(), 0);
    }
}

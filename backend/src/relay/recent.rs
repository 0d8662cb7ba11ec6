//! A map that forgets what was not used for long.

use std::collections::HashMap;

/// Remembers at least the `limit` keys used last and at most twice as many, in
/// two generations: when the young one is full, the old one is forgotten.
#[derive(Debug)]
pub(super) struct Recent<V> {
    young: HashMap<String, V>,
    old: HashMap<String, V>,
    limit: usize,
}

impl<V> Recent<V> {
    pub(super) fn new(limit: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), limit }
    }

    /// The value of a key, which counts as used.
    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.insert(key, value);
        }
        self.young.get_mut(key)
    }

    pub(super) fn insert(&mut self, key: String, value: V) {
        if self.young.len() >= self.limit {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    pub(super) fn remove(&mut self, key: &str) {
        self.young.remove(key);
        self.old.remove(key);
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.young.retain(|key, _| keep(key));
        self.old.retain(|key, _| keep(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let mut recent = Recent::new(10);
        recent.insert("used".to_owned(), 0);
        recent.insert("idle".to_owned(), 0);
        for n in 0..100 {
            recent.insert(n.to_string(), n);
            *recent.get_mut("used").unwrap() += 1;
            assert!(recent.young.len() + recent.old.len() <= 20);
        }
        assert_eq!(recent.get_mut("used"), Some(&mut 100));
        assert_eq!(recent.get_mut("idle"), None);
        recent.retain(|key| key != "used");
        assert_eq!(recent.get_mut("used"), None);
        assert_eq!(recent.get_mut("99"), Some(&mut 99));
        recent.remove("99");
        assert_eq!(recent.get_mut("99"), None);
    }
}

//! Which patterns match a destination.
//!
//! Every pattern is compared once for a destination; the result is kept until
//! the set of patterns changes, which an epoch tells.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};

use super::patterns::Pattern;

/// Destinations whose patterns are kept.
const CACHE: usize = 1024;

/// Different patterns at one time: each costs a comparison for every destination
/// that is not in the cache.
const PATTERN_LIMIT: usize = 10_000;

/// No further pattern is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the broker holds {PATTERN_LIMIT} patterns already")]
pub struct TooManyPatterns;

/// The patterns that match, by name.
pub(super) type Names = Arc<[Arc<str>]>;

#[derive(Debug, Default)]
pub(super) struct PatternIndex {
    patterns: RwLock<Patterns>,
    /// How many there are, to be read without a lock.
    len: AtomicUsize,
    cache: Mutex<HashMap<Box<str>, (u64, Names)>>,
}

#[derive(Debug, Default)]
struct Patterns {
    /// With the number of subscriptions.
    by_name: HashMap<Arc<str>, (Pattern, usize)>,
    /// Counts the changes of the keys.
    epoch: u64,
}

impl PatternIndex {
    /// Whether there are none: what a publish to an exact destination asks.
    pub(super) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Acquire) == 0
    }

    /// Adds a subscription to a pattern.
    pub(super) fn add(&self, pattern: Pattern) -> Result<Arc<str>, TooManyPatterns> {
        let mut patterns = self.patterns.write();
        let full = patterns.by_name.len() >= PATTERN_LIMIT;
        let name = Arc::from(pattern.as_str());
        match patterns.by_name.entry(name) {
            Entry::Occupied(mut entry) => {
                entry.get_mut().1 += 1;
                Ok(Arc::clone(entry.key()))
            }
            Entry::Vacant(_) if full => Err(TooManyPatterns),
            Entry::Vacant(entry) => {
                let name = Arc::clone(entry.key());
                entry.insert((pattern, 1));
                patterns.epoch += 1;
                self.len.store(patterns.by_name.len(), Ordering::Release);
                Ok(name)
            }
        }
    }

    /// Removes a subscription, and its pattern with the last one.
    pub(super) fn remove(&self, name: &str) {
        let mut patterns = self.patterns.write();
        let Some((_, subscriptions)) = patterns.by_name.get_mut(name) else {
            return;
        };
        *subscriptions -= 1;
        if *subscriptions == 0 {
            patterns.by_name.remove(name);
            patterns.epoch += 1;
            self.len.store(patterns.by_name.len(), Ordering::Release);
        }
    }

    /// The patterns that match a destination.
    pub(super) fn matching(&self, destination: &str) -> Names {
        let patterns = self.patterns.read();
        if let Some((epoch, names)) = self.cache.lock().get(destination)
            && *epoch == patterns.epoch
        {
            return Arc::clone(names);
        }
        let matching = patterns.by_name.iter().filter(|(_, (pattern, _))| pattern.matches(destination));
        let names: Names = matching.map(|(name, _)| Arc::clone(name)).collect();
        let mut cache = self.cache.lock();
        if cache.len() >= CACHE && !cache.contains_key(destination) {
            let epoch = patterns.epoch;
            cache.retain(|_, (of, _)| *of == epoch);
            // All are current: begin anew rather than keep an order of use.
            if cache.len() >= CACHE {
                cache.clear();
            }
        }
        cache.insert(destination.into(), (patterns.epoch, Arc::clone(&names)));
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::try_new(text).unwrap()
    }

    fn matching(index: &PatternIndex, destination: &str) -> Vec<String> {
        let mut names: Vec<_> = index.matching(destination).iter().map(ToString::to_string).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_cached_result_ends_with_a_change_of_the_patterns() {
        let index = PatternIndex::default();
        assert!(index.is_empty());
        index.add(pattern("/topic/*")).unwrap();
        index.add(pattern("/topic/*")).unwrap();
        assert_eq!(matching(&index, "/topic/a"), ["/topic/*"]);
        index.add(pattern("/**")).unwrap();
        assert_eq!(matching(&index, "/topic/a"), ["/**", "/topic/*"]);
        index.remove("/topic/*");
        assert_eq!(matching(&index, "/topic/a"), ["/**", "/topic/*"]);
        index.remove("/topic/*");
        assert_eq!(matching(&index, "/topic/a"), ["/**"]);
        index.remove("/**");
        assert!(index.is_empty());
        assert!(matching(&index, "/topic/a").is_empty());
    }

    #[test]
    fn the_cache_and_the_patterns_are_bounded() {
        let index = PatternIndex::default();
        index.add(pattern("/topic/1*")).unwrap();
        for n in 0..3 * CACHE {
            let expected = usize::from(n.to_string().starts_with('1'));
            assert_eq!(matching(&index, &format!("/topic/{n}")).len(), expected);
            assert!(index.cache.lock().len() <= CACHE);
        }
        for n in 1..PATTERN_LIMIT {
            index.add(pattern(&format!("/topic/{n}/*"))).unwrap();
        }
        assert_eq!(index.add(pattern("/topic/more/*")), Err(TooManyPatterns));
        assert!(index.add(pattern("/topic/1/*")).is_ok());
    }
}

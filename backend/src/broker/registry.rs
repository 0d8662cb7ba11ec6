//! Who listens where.
//!
//! Destinations are spread over shards by hash. A destination's subscribers
//! lie in chunks that are copied on write: a publisher takes the chunks and
//! walks them without a lock, and a subscribe storm on one hot destination
//! copies at most one chunk each time. Subscription ids count up, so a chunk is
//! sorted and a subscriber is found by binary search.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;

use parking_lot::RwLock;

use super::receiver::Receiver;

/// A power of two.
const SHARDS: usize = 64;

/// Subscribers in a chunk.
const CHUNK: usize = 256;

/// Names a subscription in its broker, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub(super) u64);

#[derive(Debug, Clone)]
pub(super) struct Subscriber {
    pub(super) id: SubscriptionId,
    pub(super) receiver: Receiver,
}

pub(super) type Chunk = Arc<Vec<Subscriber>>;
type Shard = RwLock<HashMap<Arc<str>, Vec<Chunk>>>;

#[derive(Debug)]
pub(super) struct Registry {
    shards: Box<[Shard]>,
    hasher: RandomState,
}

impl Default for Registry {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect(), hasher: RandomState::new() }
    }
}

impl Registry {
    fn shard(&self, destination: &str) -> Option<&Shard> {
        let hash = self.hasher.hash_one(destination);
        let index = usize::try_from(hash % SHARDS as u64).unwrap_or_default();
        self.shards.get(index)
    }

    /// Adds a subscriber; returns the shared name of the destination.
    pub(super) fn insert(&self, destination: &str, subscriber: Subscriber) -> Arc<str> {
        let Some(shard) = self.shard(destination) else {
            return Arc::from(destination);
        };
        let mut shard = shard.write();
        let name = match shard.get_key_value(destination) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(destination),
        };
        let chunks = shard.entry(Arc::clone(&name)).or_default();
        match chunks.last_mut().filter(|chunk| chunk.len() < CHUNK) {
            Some(chunk) => {
                let chunk = Arc::make_mut(chunk);
                // Ids are drawn before the lock: a neighbour may be ahead.
                let at = chunk.partition_point(|other| other.id < subscriber.id);
                chunk.insert(at, subscriber);
            }
            None => chunks.push(Arc::new(vec![subscriber])),
        }
        name
    }

    /// Removes a subscriber, and its destination with the last one.
    pub(super) fn remove(&self, destination: &Arc<str>, id: SubscriptionId) {
        let Some(shard) = self.shard(destination) else {
            return;
        };
        let mut shard = shard.write();
        let Some(chunks) = shard.get_mut(destination) else {
            return;
        };
        let find = |chunk: &Chunk| chunk.binary_search_by_key(&id, |subscriber| subscriber.id).ok();
        let found = chunks.iter().enumerate().find_map(|(n, chunk)| Some((n, find(chunk)?)));
        let Some((number, at)) = found else { return };
        let Some(chunk) = chunks.get_mut(number) else {
            return;
        };
        Arc::make_mut(chunk).remove(at);
        if chunk.is_empty() {
            chunks.remove(number);
        } else if chunk.len() < CHUNK / 4 {
            merge_with_next(chunks, number);
        }
        if chunks.is_empty() {
            shard.remove(destination);
        }
    }

    /// The subscribers of a destination at this moment.
    pub(super) fn chunks(&self, destination: &str) -> Vec<Chunk> {
        let shard = self.shard(destination).map(RwLock::read);
        shard.and_then(|shard| shard.get(destination).cloned()).unwrap_or_default()
    }
}

/// Joins a chunk that has become small with its successor when both fit.
fn merge_with_next(chunks: &mut Vec<Chunk>, number: usize) {
    let fits = match (chunks.get(number), chunks.get(number + 1)) {
        (Some(chunk), Some(next)) => chunk.len() + next.len() <= CHUNK,
        _ => false,
    };
    if fits {
        let next = chunks.remove(number + 1);
        if let Some(chunk) = chunks.get_mut(number) {
            let chunk = Arc::make_mut(chunk);
            chunk.extend(next.iter().cloned());
            chunk.sort_unstable_by_key(|subscriber| subscriber.id);
        }
    }
}

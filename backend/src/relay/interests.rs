//! Which channels are needed, how often, and whether Redis knows.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// What can be subscribed to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Subscription {
    /// A channel.
    Channel(String),
    /// All channels that match a pattern of Redis.
    Pattern(String),
}

/// Counts who needs a subscription, and keeps it for a while after the last.
///
/// Of the connection it is told what happened: [`connected`](Self::connected),
/// [`confirmed`](Self::confirmed), [`disconnected`](Self::disconnected); and it
/// says what to do: [`take_wanted`](Self::take_wanted),
/// [`take_idle`](Self::take_idle).
#[derive(Debug)]
pub(super) struct Interests {
    entries: HashMap<Subscription, Entry>,
    /// Subscriptions to be asked for.
    wanted: HashSet<Subscription>,
    /// When to look whether nobody came back; each subscription at most once.
    idle: VecDeque<(Instant, Subscription)>,
    is_connected: bool,
    linger: Duration,
}

#[derive(Debug)]
struct Entry {
    count: usize,
    is_confirmed: bool,
    /// When it is given up; none while it is needed.
    until: Option<Instant>,
    /// Whether it is among those to be looked at.
    is_queued: bool,
    settled: Arc<Notify>,
}

impl Interests {
    pub(super) fn new(linger: Duration) -> Self {
        Self {
            entries: HashMap::new(),
            wanted: HashSet::new(),
            idle: VecDeque::new(),
            is_connected: false,
            linger,
        }
    }

    /// One more needs it.
    pub(super) fn acquire(&mut self, subscription: &Subscription) {
        if let Some(entry) = self.entries.get_mut(subscription) {
            entry.count += 1;
            entry.until = None;
            return;
        }
        let entry =
            Entry { count: 1, is_confirmed: false, until: None, is_queued: false, settled: Arc::default() };
        self.entries.insert(subscription.clone(), entry);
        self.wanted.insert(subscription.clone());
    }

    /// One less needs it.
    pub(super) fn release(&mut self, subscription: &Subscription, now: Instant) {
        let Some(entry) = self.entries.get_mut(subscription) else { return };
        entry.count = entry.count.saturating_sub(1);
        if entry.count == 0 {
            let until = now + self.linger;
            entry.until = Some(until);
            if !std::mem::replace(&mut entry.is_queued, true) {
                self.idle.push_back((until, subscription.clone()));
            }
        }
    }

    /// What to wait for before messages come: none if they do, or if nothing
    /// can be done about it.
    pub(super) fn unsettled(&self, subscription: &Subscription) -> Option<Arc<Notify>> {
        let entry = self.entries.get(subscription)?;
        (self.is_connected && !entry.is_confirmed).then(|| Arc::clone(&entry.settled))
    }

    /// What to ask Redis for; empty without a connection.
    pub(super) fn take_wanted(&mut self) -> Vec<Subscription> {
        if !self.is_connected {
            return Vec::new();
        }
        self.wanted.drain().collect()
    }

    /// What nobody has needed for as long as `linger`; it is forgotten here.
    pub(super) fn take_idle(&mut self, now: Instant) -> Vec<Subscription> {
        let mut given_up = Vec::new();
        while let Some((due, _)) = self.idle.front()
            && *due <= now
            && let Some((_, subscription)) = self.idle.pop_front()
            && let Some(entry) = self.entries.get_mut(&subscription)
        {
            match entry.until {
                // It was needed again, and is idle since later.
                Some(until) if until > now => self.idle.push_back((until, subscription)),
                Some(_) => {
                    entry.settled.notify_waiters();
                    self.entries.remove(&subscription);
                    if !self.wanted.remove(&subscription) && self.is_connected {
                        given_up.push(subscription);
                    }
                }
                None => entry.is_queued = false,
            }
        }
        given_up
    }

    /// When to look for something to unsubscribe from.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.idle.front().map(|(until, _)| *until)
    }

    /// Whether it is subscribed to, or to be.
    pub(super) fn is_needed(&self, subscription: &Subscription) -> bool {
        self.entries.contains_key(subscription)
    }

    /// All that is subscribed to, or to be.
    pub(super) fn all(&self) -> Vec<Subscription> {
        self.entries.keys().cloned().collect()
    }

    /// The patterns that are subscribed to, or to be.
    pub(super) fn patterns(&self) -> Vec<String> {
        let pattern = |subscription: &Subscription| match subscription {
            Subscription::Pattern(pattern) => Some(pattern.clone()),
            Subscription::Channel(_) => None,
        };
        self.entries.keys().filter_map(pattern).collect()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// A connection is there, which knows no subscription.
    pub(super) fn connected(&mut self) {
        self.is_connected = true;
        self.wanted = self.entries.keys().cloned().collect();
    }

    /// Redis confirmed subscriptions.
    pub(super) fn confirmed(&mut self, subscriptions: &[Subscription]) {
        for subscription in subscriptions {
            if let Some(entry) = self.entries.get_mut(subscription) {
                entry.is_confirmed = true;
                entry.settled.notify_waiters();
            }
        }
    }

    /// The connection is gone: nobody waits any longer.
    pub(super) fn disconnected(&mut self) {
        self.is_connected = false;
        for entry in self.entries.values_mut() {
            entry.is_confirmed = false;
            entry.settled.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINGER: Duration = Duration::from_secs(10);

    fn channel(name: &str) -> Subscription {
        Subscription::Channel(name.to_owned())
    }

    #[test]
    fn one_subscription_serves_all_who_need_it() {
        let mut interests = Interests::new(LINGER);
        let now = Instant::now();
        interests.connected();
        interests.acquire(&channel("a"));
        interests.acquire(&channel("a"));
        assert_eq!(interests.take_wanted(), [channel("a")]);
        assert!(interests.unsettled(&channel("a")).is_some());
        interests.confirmed(&[channel("a")]);
        assert!(interests.unsettled(&channel("a")).is_none());
        interests.release(&channel("a"), now);
        assert_eq!(interests.poll_timeout(), None);
        interests.release(&channel("a"), now);
        assert_eq!(interests.poll_timeout(), Some(now + LINGER));
        assert!(interests.take_idle(now + LINGER / 2).is_empty());
        assert_eq!(interests.take_idle(now + LINGER), [channel("a")]);
        assert!(!interests.is_needed(&channel("a")));
        assert!(interests.take_wanted().is_empty());
    }

    #[test]
    fn who_returns_in_time_costs_nothing() {
        let mut interests = Interests::new(LINGER);
        let start = Instant::now();
        interests.connected();
        interests.acquire(&channel("a"));
        interests.take_wanted();
        interests.release(&channel("a"), start);
        interests.acquire(&channel("a"));
        assert!(interests.take_wanted().is_empty());
        assert!(interests.take_idle(start + LINGER).is_empty());
        // The time is counted from the last end.
        interests.release(&channel("a"), start + LINGER);
        interests.acquire(&channel("a"));
        interests.release(&channel("a"), start + LINGER * 3 / 2);
        assert!(interests.take_idle(start + LINGER * 2).is_empty());
        assert_eq!(interests.take_idle(start + LINGER * 3), [channel("a")]);
        assert_eq!(interests.poll_timeout(), None);
    }

    #[test]
    fn who_comes_and_goes_takes_no_memory() {
        let mut interests = Interests::new(LINGER);
        let now = Instant::now();
        for _ in 0..1000 {
            interests.acquire(&channel("a"));
            interests.release(&channel("a"), now);
        }
        assert_eq!(interests.idle.len(), 1);
    }

    #[test]
    fn a_new_connection_is_asked_for_everything_needed() {
        let mut interests = Interests::new(LINGER);
        let now = Instant::now();
        interests.acquire(&channel("a"));
        interests.acquire(&channel("b"));
        assert!(interests.unsettled(&channel("a")).is_none());
        assert!(interests.take_wanted().is_empty());
        interests.connected();
        let mut asked = interests.take_wanted();
        asked.sort();
        assert_eq!(asked, [channel("a"), channel("b")]);
        interests.confirmed(&asked);
        interests.disconnected();
        interests.release(&channel("b"), now);
        assert!(interests.take_idle(now + LINGER).is_empty());
        interests.connected();
        assert_eq!(interests.take_wanted(), [channel("a")]);
        assert!(interests.unsettled(&channel("a")).is_some());
    }

    #[tokio::test]
    async fn who_waits_is_told_of_the_end_of_the_connection() {
        let mut interests = Interests::new(LINGER);
        interests.connected();
        interests.acquire(&channel("a"));
        let settled = interests.unsettled(&channel("a")).unwrap();
        let waiting = settled.notified();
        interests.disconnected();
        waiting.await;
        assert!(interests.unsettled(&channel("a")).is_none());
    }
}

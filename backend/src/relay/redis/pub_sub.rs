//! Pub/Sub. One connection both receives and publishes, so that nothing is
//! published before our own subscriptions are there again.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use redis::PushInfo;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::RelaySubscribe;
use crate::relay::inbox::{Event, Inbox};
use crate::relay::interests::Subscription;
use crate::relay::peers::Peers;
use crate::relay::receiver::Receiver;
use crate::relay::sequence::Lower;
use crate::relay::{Shared, glob};

use super::link::{Link, LinkError, event, is_refusal};
use super::{Batch, Inward, Unanswered};

/// Between two looks whether the other instances are back.
const LOOK: Duration = Duration::from_millis(20);

/// What outlives a connection.
pub(super) struct PubSub<'a> {
    shared: &'a Shared,
    receiver: Receiver,
    peers: Mutex<Peers>,
    /// Each instance subscribes to it and nobody publishes there: its
    /// subscribers are the instances. `ws-instances`, outside of what other
    /// relays listen to.
    instances: String,
}

impl<'a> PubSub<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        let limit = shared.config.message_size_limit;
        let name = shared.config.channel_prefix.trim_end_matches(|c: char| c.is_ascii_punctuation());
        Self {
            shared,
            receiver: Receiver::new(shared.origin.clone(), limit, Lower::Restart),
            peers: Mutex::default(),
            instances: format!("{name}-instances"),
        }
    }

    /// One connection, from its begin to its end. Ends well when `stop` is
    /// cancelled and nothing waits to be published.
    pub(super) async fn session(
        &mut self,
        inward: &mut Inward<'_>,
        stop: &CancellationToken,
    ) -> Result<(), LinkError> {
        let shared = self.shared;
        let inbox = Arc::new(Inbox::new(shared.config.inbox_limit, shared.config.inbox_bytes()));
        let pushes = Arc::clone(&inbox);
        let dropped = shared.metrics.dropped.with_label_values(&["inbox"]);
        let link = shared
            .connector
            .connect(move |push: PushInfo| {
                if let Some(event) = event(push) {
                    dropped.inc_by(pushes.push(event));
                }
                Ok::<(), ()>(())
            })
            .await?;
        let version = link.version().await?;
        self.forget();
        self.join(&link).await?;
        shared.interests.lock().connected();
        subscribe(shared, &link).await?;
        let cut_off = inward.connected(version);
        if let Some(time) = cut_off {
            inward.notices.was_cut_off(time);
        }
        let Self { receiver, peers, instances, .. } = self;
        let outward = Outward { shared, link: &link, peers, instances };
        let ended = tokio::select! {
            ended = receive(receiver, &inbox, inward, &link) => ended,
            ended = follow(shared, &link) => ended,
            ended = outward.watch() => ended,
            ended = outward.publish(cut_off.is_some(), stop) => ended,
        };
        if ended.is_ok() {
            let subscriptions = shared.interests.lock().all();
            link.unsubscribe(&subscriptions).await?;
        }
        ended
    }

    /// Numbers of channels that nobody needs any longer.
    fn forget(&mut self) {
        let interests = self.shared.interests.lock();
        let patterns = interests.patterns();
        self.receiver.reconnected(|channel| {
            interests.is_needed(&Subscription::Channel(channel.to_owned()))
                || patterns.iter().any(|pattern| glob::matches(pattern, channel))
        });
    }

    /// Shows this instance to the others, if Redis permits it.
    async fn join(&self, link: &Link) -> Result<(), LinkError> {
        let Link::Single(_) = link else { return Ok(()) };
        if !is_granted(link, &[Subscription::Channel(self.instances.clone())]).await? {
            tracing::info!(
                channel = self.instances,
                "redis refuses a subscription, instances are not counted"
            );
        }
        Ok(())
    }
}

/// Delivers what comes.
async fn receive(
    receiver: &mut Receiver,
    inbox: &Inbox,
    inward: &mut Inward<'_>,
    link: &Link,
) -> Result<(), LinkError> {
    loop {
        let event = tokio::select! {
            event = inbox.next() => event,
            () = inward.notice_is_due() => {
                inward.notify().await;
                continue;
            }
        };
        match (&event, link) {
            (Event::Disconnected, _) => return Err(LinkError::Closed),
            // Not by our wish: the slot moved.
            (Event::Unsubscribed(subscription), Link::Cluster(_))
                if inward.shared.interests.lock().is_needed(subscription) =>
            {
                return Err(LinkError::Moved);
            }
            _ => {}
        }
        let outcome = receiver.handle(event);
        inward.take(outcome).await;
    }
}

/// Keeps what Redis sends equal to what is needed.
async fn follow(shared: &Shared, link: &Link) -> Result<(), LinkError> {
    loop {
        let due = shared.interests.lock().poll_timeout();
        let idle = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shared.interests_changed.notified() => {}
            () = idle => {}
        }
        let given_up = shared.interests.lock().take_idle(Instant::now());
        if !given_up.is_empty() {
            link.unsubscribe(&given_up).await?;
        }
        subscribe(shared, link).await?;
    }
}

/// Asks for what is wanted. What Redis refuses, as for want of a permission, gets
/// messages of this instance only.
async fn subscribe(shared: &Shared, link: &Link) -> Result<(), LinkError> {
    let wanted = shared.interests.lock().take_wanted();
    if !wanted.is_empty() && !is_granted(link, &wanted).await? {
        for subscription in &wanted {
            if !is_granted(link, std::slice::from_ref(subscription)).await? {
                tracing::warn!(?subscription, "redis refuses a subscription");
            }
        }
    }
    let mut interests = shared.interests.lock();
    interests.confirmed(&wanted);
    shared.metrics.subscriptions.set(i64::try_from(interests.len()).unwrap_or(i64::MAX));
    Ok(())
}

async fn is_granted(link: &Link, subscriptions: &[Subscription]) -> Result<bool, LinkError> {
    match link.subscribe(subscriptions).await {
        Ok(()) => Ok(true),
        Err(LinkError::Redis(error)) if is_refusal(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The way from this instance to Redis.
struct Outward<'a> {
    shared: &'a Shared,
    link: &'a Link,
    peers: &'a Mutex<Peers>,
    instances: &'a str,
}

impl Outward<'_> {
    /// Notices a link that swallows everything.
    async fn watch(&self) -> Result<(), LinkError> {
        loop {
            let start = Instant::now();
            self.link.ping().await?;
            let took = start.elapsed();
            let instances = self.count().await?;
            self.shared.status.pinged(took, instances);
            tokio::time::sleep(self.shared.config.redis.ping_interval).await;
        }
    }

    async fn publish(&self, is_again: bool, stop: &CancellationToken) -> Result<(), LinkError> {
        if is_again {
            self.wait_for_others(stop).await?;
        }
        while let Some(batch) = Batch::next(self.shared, stop, Unanswered::GiveUp).await {
            let reaches = self.link.publish(&batch.encode()).await?;
            let taken: Vec<u64> = reaches.iter().filter_map(|reach| reach.as_ref().ok().copied()).collect();
            let unheard = taken.iter().filter(|&&reach| reach == 0 && self.is_lost()).count();
            self.shared.metrics.unheard.inc_by(u64::try_from(unheard).unwrap_or(u64::MAX));
            let refusal = reaches.iter().find_map(|reach| reach.as_ref().err());
            batch.answered(u64::try_from(taken.len()).unwrap_or(u64::MAX), refusal.map(String::as_str));
        }
        Ok(())
    }

    /// Whether a message that reached nobody is probably lost. With a pattern we
    /// hear ourselves. Without, it may be that nobody needs it, unless an
    /// instance is away that might.
    fn is_lost(&self) -> bool {
        self.shared.config.subscribe == RelaySubscribe::Pattern || self.peers.lock().is_someone_away()
    }

    /// After an outage the instances come back one by one. What waits to be
    /// published waits for them, for twice the longest pause between attempts.
    async fn wait_for_others(&self, stop: &CancellationToken) -> Result<(), LinkError> {
        let deadline = Instant::now() + self.shared.config.redis.reconnect.max * 2;
        while self.count().await?.is_some()
            && self.peers.lock().is_someone_away()
            && Instant::now() < deadline
            && !stop.is_cancelled()
        {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    async fn count(&self) -> Result<Option<u64>, LinkError> {
        // We are one of them, unless Redis refused it.
        let instances = self.link.subscribers(self.instances).await?.filter(|&count| count > 0);
        if let Some(instances) = instances {
            self.peers.lock().counted(Instant::now(), instances);
        }
        Ok(instances)
    }
}

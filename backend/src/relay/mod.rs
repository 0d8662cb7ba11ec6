//! Messages from instance to instance.
//!
//! A message is delivered to the clients of this instance first, and handed to
//! the relay after that; what other instances publish comes back as
//! [`Delivery`] and is never published again. Nothing that a client waits for
//! waits for Redis, but for the first subscription to a channel.
//!
//! Pub/Sub delivers at most once: what is published while an instance is cut
//! off does not reach it. It sees from the numbers in the envelope what it
//! missed; see [`sequence`]. With streams it reads on where it stopped.

mod address;
mod backoff;
mod envelope;
mod glob;
mod inbox;
mod interests;
mod outbox;
mod peers;
mod receiver;
mod recent;
mod redis;
mod resync;
mod sequence;
mod status;

use std::future::Future;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::{RelayConfig, RelayMode, RelaySubscribe};
use crate::metrics::RelayMetrics;

use self::interests::{Interests, Subscription};
use self::outbox::{Outbox, Outgoing};
use self::redis::{Connector, carry};
use self::status::StatusCell;

pub use self::redis::RelayError;
pub use address::Address;
pub use resync::Resync;
pub use status::RelayStatus;

/// Deliveries between the relay's task and who delivers.
const DELIVERIES: usize = 64;

/// A message of another instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Who gets it.
    pub address: Address,
    /// The `content-type`, where it was told.
    pub content_type: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// What the relay has for the clients of this instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// A message of another instance.
    Message(Received),
    /// Messages may have been missed.
    Resync(Resync),
}

/// The way to the other instances. The default one has none.
#[derive(Debug, Default)]
pub struct Relay {
    shared: Option<Arc<Shared>>,
}

/// As long as this lives, messages for its address come from other instances.
#[derive(Debug, Default)]
pub struct Interest(Option<(Arc<Shared>, Subscription)>);

/// What callers and the relay's tasks have in common.
#[derive(Debug)]
struct Shared {
    /// Of this start of the process: a restarted instance is another one.
    origin: String,
    config: RelayConfig,
    metrics: RelayMetrics,
    connector: Connector,
    outbox: Outbox,
    interests: Mutex<Interests>,
    interests_changed: Notify,
    status: StatusCell,
}

impl Relay {
    /// A relay as configured, which does nothing until [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// The URL is malformed, or a certificate cannot be used.
    pub fn try_new(config: &RelayConfig, instance: &str, metrics: &RelayMetrics) -> Result<Self, RelayError> {
        if config.mode == RelayMode::Memory {
            return Ok(Self::default());
        }
        let mut interests = Interests::new(config.linger);
        if config.mode == RelayMode::Redis && config.subscribe == RelaySubscribe::Pattern {
            interests.acquire(&everything(config));
        }
        let shared = Shared {
            origin: format!("{instance}-{:016x}", rand::random::<u64>()),
            connector: Connector::try_new(&config.redis)?,
            config: config.clone(),
            metrics: metrics.clone(),
            outbox: Outbox::new(config.buffer_size_limit),
            interests: Mutex::new(interests),
            interests_changed: Notify::new(),
            status: StatusCell::new(Instant::now()),
        };
        Ok(Self { shared: Some(Arc::new(shared)) })
    }

    /// Whether there may be other instances, for whom it is worth to prepare a
    /// message.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Hands a message to the other instances. Never waits: what cannot be kept
    /// until it is published is dropped and counted.
    pub fn publish(&self, address: &Address, content_type: Option<&str>, body: &Bytes) {
        let Some(shared) = &self.shared else { return };
        if body.len() > shared.config.message_size_limit {
            shared.dropped("size", 1);
            return;
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let dropped = shared.outbox.push(Outgoing {
            channel: shared.channel(address),
            address: address.clone(),
            content_type: content_type.map(str::to_owned),
            body: body.clone(),
            timestamp: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            sequence: 0,
        });
        shared.dropped("buffer", dropped);
    }

    /// Asks for the messages of an address. Ready when they come, or when the
    /// relay is cut off, which is no reason to refuse a subscription.
    ///
    /// # Cancel safety
    ///
    /// The interest is given up.
    pub async fn interest(&self, address: Address) -> Interest {
        let Some(shared) = &self.shared else { return Interest::default() };
        let Some(subscription) = shared.subscription(&address) else { return Interest::default() };
        shared.interests.lock().acquire(&subscription);
        shared.interests_changed.notify_one();
        let interest = Interest(Some((Arc::clone(shared), subscription.clone())));
        loop {
            let unsettled = shared.interests.lock().unsettled(&subscription);
            let Some(settled) = unsettled else { return interest };
            let mut settled = std::pin::pin!(settled.notified());
            settled.as_mut().enable();
            if shared.interests.lock().unsettled(&subscription).is_some() {
                settled.await;
            }
        }
    }

    /// The state for health; none without other instances. Not older than the
    /// interval of PINGs and their timeout.
    #[must_use]
    pub fn status(&self) -> Option<RelayStatus> {
        let shared = self.shared.as_ref()?;
        Some(shared.status.read(Instant::now(), &shared.metrics))
    }

    /// The work of the relay, to be awaited by whoever delivers, and what is to
    /// be delivered. The work ends soon after `stop`: when what waits is
    /// published, when Redis does not answer, at most after five times its
    /// timeout. Deliveries end with it.
    /// To be called once.
    pub fn run(
        &self,
        stop: CancellationToken,
    ) -> (impl Future<Output = ()> + Send + use<>, mpsc::Receiver<Delivery>) {
        let (deliveries, receiver) = mpsc::channel(DELIVERIES);
        let shared = self.shared.clone();
        let work = async move {
            if let Some(shared) = shared {
                carry(&shared, &deliveries, &stop).await;
            }
        };
        (work, receiver)
    }
}

impl Shared {
    /// The channel or stream of an address.
    fn channel(&self, address: &Address) -> String {
        let channel = address.channel(&self.config.channel_prefix);
        if self.config.mode == RelayMode::Streams {
            return self.stream(shard(&channel, self.config.streams.shards));
        }
        channel
    }

    /// The key of a stream.
    fn stream(&self, shard: u32) -> String {
        format!("{}stream.{shard}", self.config.channel_prefix)
    }

    /// What to subscribe to for an address; none where all comes anyway, or
    /// where there is no way.
    fn subscription(&self, address: &Address) -> Option<Subscription> {
        let prefix = &self.config.channel_prefix;
        match (self.config.mode, self.config.subscribe, address) {
            (RelayMode::Memory | RelayMode::Streams, _, _) => None,
            (RelayMode::Redis, RelaySubscribe::Pattern, _) => Some(everything(&self.config)),
            (RelayMode::Redis, RelaySubscribe::Needed, Address::Pattern(_)) => {
                if !self.config.redis.cluster.nodes.is_empty() {
                    tracing::warn!(
                        "a pattern gets messages of this instance only: sharded channels have none"
                    );
                    return None;
                }
                Some(Subscription::Pattern(address.channel(prefix)))
            }
            (RelayMode::Redis, RelaySubscribe::Needed, address) => {
                Some(Subscription::Channel(address.channel(prefix)))
            }
        }
    }

    fn dropped(&self, reason: &str, count: u64) {
        if count > 0 {
            self.metrics.dropped.with_label_values(&[reason]).inc_by(count);
        }
    }
}

/// The pattern of all channels.
fn everything(config: &RelayConfig) -> Subscription {
    Subscription::Pattern(glob::literal(&config.channel_prefix) + "*")
}

/// FNV-1a: the same on every instance and in every version.
fn shard(channel: &str, shards: u32) -> u32 {
    let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    channel.bytes().fold(0x811c_9dc5, mix) % shards.max(1)
}

impl Drop for Interest {
    fn drop(&mut self) {
        if let Some((shared, subscription)) = &self.0 {
            shared.interests.lock().release(subscription, Instant::now());
            shared.interests_changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    fn relay(change: impl FnOnce(&mut RelayConfig)) -> Relay {
        let mut config = RelayConfig { mode: RelayMode::Redis, ..RelayConfig::default() };
        change(&mut config);
        Relay::try_new(&config, "b1", &Metrics::try_new().unwrap().relay).unwrap()
    }

    #[tokio::test]
    async fn without_a_connection_nobody_waits() {
        let relay = relay(|_| {});
        let interest = relay.interest(Address::Destination("/topic/a".to_owned())).await;
        let shared = relay.shared.as_ref().unwrap();
        assert_eq!(shared.interests.lock().len(), 1);
        drop(interest);
        assert!(shared.interests.lock().poll_timeout().is_some());
        let status = relay.status().unwrap();
        assert!(!status.is_connected);
    }

    #[tokio::test]
    async fn without_other_instances_nothing_happens() {
        let relay = Relay::default();
        let address = Address::Destination("/topic/a".to_owned());
        relay.publish(&address, None, &Bytes::new());
        let _interest = relay.interest(address).await;
        assert_eq!(relay.status(), None);
        let (work, mut deliveries) = relay.run(CancellationToken::new());
        work.await;
        assert_eq!(deliveries.recv().await, None);
    }

    #[test]
    fn what_is_subscribed_to_for_an_address() {
        let needed = relay(|_| {}).shared.unwrap();
        let topic = |name: &str| Address::Destination(name.to_owned());
        let channel = |name: &str| Some(Subscription::Channel(name.to_owned()));
        let pattern = |name: &str| Some(Subscription::Pattern(name.to_owned()));
        assert_eq!(needed.subscription(&topic("/topic/a")), channel("ws:/topic/a"));
        assert_eq!(
            needed.subscription(&Address::Pattern("/topic/room.*".to_owned())),
            pattern("ws:/topic/room.*")
        );
        let user = Address::User { name: "a*".to_owned(), queue: "/queue/b".to_owned() };
        assert_eq!(needed.subscription(&user), channel("ws:user.a*/queue/b"));
        let all = relay(|config| {
            config.subscribe = RelaySubscribe::Pattern;
            config.channel_prefix = "w*:".to_owned();
        });
        let all = all.shared.unwrap();
        assert_eq!(all.subscription(&topic("/topic/a")), pattern("w\\*:*"));
        assert_eq!(all.subscription(&user), pattern("w\\*:*"));
        let streams = relay(|config| config.mode = RelayMode::Streams).shared.unwrap();
        assert_eq!(streams.subscription(&user), None);
    }

    #[test]
    fn what_is_too_large_is_not_published() {
        let relay = relay(|config| config.message_size_limit = 4);
        let address = Address::Destination("/topic/a".to_owned());
        relay.publish(&address, None, &Bytes::from_static(b"1234"));
        relay.publish(&address, None, &Bytes::from_static(b"12345"));
        assert_eq!(relay.status().unwrap().dropped, 1);
        assert_eq!(relay.shared.unwrap().outbox.take(9).len(), 1);
    }

    #[test]
    fn shards_are_the_same_everywhere() {
        assert_eq!(["ws:/topic/a", "ws:/topic/b", ""].map(|name| shard(name, 16)), [3, 6, 5]);
    }
}

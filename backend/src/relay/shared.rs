//! What callers and the relay's tasks have in common, and which channels there
//! are for an address.

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::{RelayConfig, RelayMode, RelaySubscribe};
use crate::metrics::RelayMetrics;

use super::interests::{Interests, Subscription};
use super::outbox::Outbox;
use super::redis::Connector;
use super::status::StatusCell;
use super::{Address, RelayError, glob};

/// What callers and the relay's tasks have in common.
#[derive(Debug)]
pub(super) struct Shared {
    /// Of this start of the process: a restarted instance is another one.
    pub(super) origin: String,
    pub(super) config: RelayConfig,
    pub(super) metrics: RelayMetrics,
    pub(super) connector: Connector,
    pub(super) outbox: Outbox,
    pub(super) interests: Mutex<Interests>,
    pub(super) interests_changed: Notify,
    pub(super) status: StatusCell,
}

impl Shared {
    /// Nothing is connected yet.
    pub(super) fn try_new(
        config: &RelayConfig,
        instance: &str,
        metrics: &RelayMetrics,
    ) -> Result<Self, RelayError> {
        let mut interests = Interests::new(config.linger);
        if config.mode == RelayMode::Redis && config.subscribe == RelaySubscribe::Pattern {
            interests.acquire(&everything(config));
        }
        Ok(Self {
            origin: format!("{instance}-{:016x}", rand::random::<u64>()),
            connector: Connector::try_new(&config.redis)?,
            config: config.clone(),
            metrics: metrics.clone(),
            outbox: Outbox::new(config.buffer_size_limit),
            interests: Mutex::new(interests),
            interests_changed: Notify::new(),
            status: StatusCell::new(Instant::now()),
        })
    }

    /// The channel or stream of an address.
    pub(super) fn channel(&self, address: &Address) -> String {
        let channel = address.channel(&self.config.channel_prefix);
        if self.config.mode == RelayMode::Streams {
            return self.stream(shard(&channel, self.config.streams.shards));
        }
        channel
    }

    /// The key of a stream.
    pub(super) fn stream(&self, shard: u32) -> String {
        format!("{}stream.{shard}", self.config.channel_prefix)
    }

    /// What to subscribe to for an address; none where all comes anyway, or
    /// where there is no way.
    pub(super) fn subscription(&self, address: &Address) -> Option<Subscription> {
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

    /// Counts messages that are not published.
    pub(super) fn dropped(&self, reason: &str, count: u64) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    fn shared(change: impl FnOnce(&mut RelayConfig)) -> Shared {
        let mut config = RelayConfig { mode: RelayMode::Redis, ..RelayConfig::default() };
        change(&mut config);
        Shared::try_new(&config, "b1", &Metrics::try_new().unwrap().relay).unwrap()
    }

    #[test]
    fn what_is_subscribed_to_for_an_address() {
        let needed = shared(|_| {});
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
        let all = shared(|config| {
            config.subscribe = RelaySubscribe::Pattern;
            config.channel_prefix = "w*:".to_owned();
        });
        assert_eq!(all.subscription(&topic("/topic/a")), pattern("w\\*:*"));
        assert_eq!(all.subscription(&user), pattern("w\\*:*"));
        let streams = shared(|config| config.mode = RelayMode::Streams);
        assert_eq!(streams.subscription(&user), None);
    }

    #[test]
    fn shards_are_the_same_everywhere() {
        assert_eq!(["ws:/topic/a", "ws:/topic/b", ""].map(|name| shard(name, 16)), [3, 6, 5]);
    }
}

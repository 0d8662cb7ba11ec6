//! `relay.*`.

mod redis;

use std::time::Duration;

use serde::Deserialize;

use super::units;

pub use self::redis::{ClusterConfig, ReconnectConfig, RedisConfig, RedisSslConfig, Secret};

/// The way to other instances.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RelayConfig {
    /// What carries messages to the other instances. Default `memory`: nothing
    /// does, this instance is alone.
    pub mode: RelayMode,
    /// What every channel begins with. Default `ws:`, as in the Spring relay:
    /// `ws:/topic/room.general`.
    pub channel_prefix: String,
    /// Which channels are subscribed to. Default `needed`.
    pub subscribe: RelaySubscribe,
    /// How long a channel stays subscribed to after its last local subscriber
    /// left, so that a page that is loaded again costs Redis nothing. Default
    /// `10s`.
    #[serde(deserialize_with = "units::duration")]
    pub linger: Duration,
    /// Fields of the envelope. Default `extended`.
    pub envelope: RelayEnvelope,
    /// Largest body that is published or accepted, in bytes. Default `256KiB`.
    #[serde(deserialize_with = "units::size")]
    pub message_size_limit: usize,
    /// Bytes of messages that wait to be published while Redis is slow or away;
    /// the oldest are dropped above, and counted. Default `8MiB`.
    #[serde(deserialize_with = "units::size")]
    pub buffer_size_limit: usize,
    /// Messages that wait after they came, before they are delivered, together
    /// of at most eight times `buffer-size-limit`; the oldest are dropped
    /// above, and counted. Default 8192.
    pub inbox_limit: usize,
    /// The connection.
    pub redis: RedisConfig,
    /// What `mode: streams` needs besides.
    pub streams: StreamsConfig,
}

/// What carries messages to the other instances.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelayMode {
    /// Nothing: one instance only.
    #[default]
    Memory,
    /// Redis Pub/Sub, as the Spring relay does. What is published while an
    /// instance is cut off does not reach it.
    Redis,
    /// Redis Streams: an instance that was cut off reads on where it stopped.
    Streams,
}

/// Which channels are subscribed to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelaySubscribe {
    /// Those of destinations with local subscribers.
    #[default]
    Needed,
    /// All with the prefix, by one pattern, as the Spring relay does.
    Pattern,
}

/// Fields of the envelope.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelayEnvelope {
    /// The Spring relay's, and our own: `seq`, `contentType`.
    #[default]
    Extended,
    /// The Spring relay's alone, for a reader that fails on unknown fields, as
    /// Jackson does unless told otherwise. Gaps go unnoticed then.
    Plain,
}

/// Redis Streams.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct StreamsConfig {
    /// Streams over which destinations are spread, from 1 to 256; the same on
    /// all instances. Default 16.
    pub shards: u32,
    /// Entries that a stream keeps, about: what an instance may miss while it
    /// is cut off. Default 10000.
    pub max_length: u32,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            mode: RelayMode::default(),
            channel_prefix: "ws:".to_owned(),
            subscribe: RelaySubscribe::default(),
            linger: Duration::from_secs(10),
            envelope: RelayEnvelope::default(),
            message_size_limit: 256 << 10,
            buffer_size_limit: 8 << 20,
            inbox_limit: 8192,
            redis: RedisConfig::default(),
            streams: StreamsConfig::default(),
        }
    }
}

impl Default for StreamsConfig {
    fn default() -> Self {
        Self { shards: 16, max_length: 10_000 }
    }
}

impl RelayConfig {
    /// Bytes of envelopes that wait before they are delivered: eight times
    /// [`buffer_size_limit`](Self::buffer_size_limit), since JSON in JSON may
    /// take that much more.
    #[must_use]
    pub fn inbox_bytes(&self) -> usize {
        self.buffer_size_limit.saturating_mul(8)
    }

    /// What the types cannot say, one line each.
    pub(super) fn problems(&self) -> Vec<String> {
        let is_cluster = !self.redis.cluster.nodes.is_empty();
        let prefix = &self.channel_prefix;
        let mut problems = self.redis.problems();
        let rules = [
            (
                (1..=64).contains(&prefix.len()) && prefix.chars().all(|c| c.is_ascii_graphic()),
                "channel-prefix: must be 1 to 64 printable characters without blanks",
            ),
            (
                (1024..=64 << 20).contains(&self.message_size_limit),
                "message-size-limit: must be from 1KiB to 64MiB",
            ),
            (
                self.buffer_size_limit >= self.message_size_limit,
                "buffer-size-limit: must not be below relay.message-size-limit",
            ),
            ((1..=1_000_000).contains(&self.inbox_limit), "inbox-limit: must be from 1 to 1000000"),
            ((1..=256).contains(&self.streams.shards), "streams.shards: must be from 1 to 256"),
            (self.streams.max_length > 0, "streams.max-length: must be above zero"),
            (
                !(is_cluster && self.mode == RelayMode::Streams),
                "mode: streams need one primary, so relay.redis.cluster.nodes must be empty",
            ),
            (
                !(is_cluster && self.subscribe == RelaySubscribe::Pattern),
                "subscribe: sharded channels of a cluster have no patterns, so it must be needed",
            ),
        ];
        problems
            .extend(rules.iter().filter(|(holds, _)| !holds).map(|(_, problem)| format!("relay.{problem}")));
        problems
    }

    /// Every timer, to be scaled.
    pub(super) fn timers(&mut self) -> Vec<&mut Duration> {
        let mut timers = vec![&mut self.linger];
        timers.extend(self.redis.timers());
        timers
    }
}

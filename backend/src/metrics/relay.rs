//! The relay to other instances.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Registry};

use super::{MetricsError, add, counter};

/// The relay to other instances.
#[derive(Debug, Clone)]
pub struct RelayMetrics {
    /// 1 if there is a relay: `mode` is not `memory`. Tells an instance that is cut off from one that is
    /// meant to be alone.
    pub configured: IntGauge,
    /// 1 while messages come from other instances, 0 while Redis is away.
    pub connected: IntGauge,
    /// Connections that were made, the first one included.
    pub connections: IntCounter,
    /// Messages that Redis took.
    pub published: IntCounter,
    /// Messages of other instances that were delivered.
    pub received: IntCounter,
    /// Messages that were thrown away, by `reason`: `buffer` (too much waited to
    /// be published), `inbox` (too much waited to be delivered), `malformed`,
    /// `refused` (Redis answered with an error), `size`, `unconfirmed` (the
    /// connection ended before the answer).
    pub dropped: IntCounterVec,
    /// Runs of messages of other instances that did not come.
    pub gaps: IntCounter,
    /// Messages of other instances that did not come.
    pub missed: IntCounter,
    /// Messages that came twice and were delivered once.
    pub duplicates: IntCounter,
    /// Messages published to nobody while a known instance was away, or, with
    /// `subscribe: pattern`, to nobody at all: probably lost.
    pub unheard: IntCounter,
    /// Channels and patterns subscribed to.
    pub subscriptions: IntGauge,
}

impl RelayMetrics {
    pub(super) fn try_new(registry: &Registry) -> Result<Self, MetricsError> {
        let count = |name: &str, help: &str| add(registry, IntCounter::new(name, help)?);
        let state = |name: &str, help: &str| add(registry, IntGauge::new(name, help)?);
        Ok(Self {
            configured: state("relay_configured", "Whether there is a relay to other instances")?,
            connected: state("relay_connected", "Whether messages come from other instances")?,
            connections: count("relay_connections_total", "Connections to Redis that were made")?,
            published: count("relay_published_total", "Messages that Redis took")?,
            received: count("relay_received_total", "Messages of other instances that were delivered")?,
            dropped: counter(
                registry,
                "relay_dropped_total",
                "Messages that were thrown away",
                "reason",
                &["buffer", "inbox", "malformed", "refused", "size", "unconfirmed"],
            )?,
            gaps: count("relay_gaps_total", "Runs of messages of other instances that did not come")?,
            missed: count("relay_missed_total", "Messages of other instances that did not come")?,
            duplicates: count("relay_duplicates_total", "Messages that came twice")?,
            unheard: count("relay_unheard_total", "Messages that probably reached no instance")?,
            subscriptions: state("relay_subscriptions", "Channels and patterns subscribed to")?,
        })
    }
}

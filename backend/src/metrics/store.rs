//! The message store.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Registry};

use super::{MetricsError, add, counter, timer};

/// The message store.
#[derive(Debug, Clone)]
pub struct StoreMetrics {
    /// Messages written to the database.
    pub stored: IntCounter,
    /// Messages that are not in the store, by `reason`: `queue_full`,
    /// `too_large`, `rejected` (the database does not take this message) or
    /// `shutdown` (not written in time).
    pub dropped: IntCounterVec,
    /// Failures by `operation`: `write` (tried again), `read`, `prune`.
    pub errors: IntCounterVec,
    /// Messages that went because of their age, number or the store's size.
    pub pruned: IntCounter,
    /// Messages that wait to be written.
    pub queue_messages: IntGauge,
    /// Bytes that wait to be written, about.
    pub queue_bytes: IntGauge,
    /// 1 while the database takes messages, 0 while it does not, or is not
    /// known to.
    pub up: IntGauge,
    /// Seconds that the write of a batch took.
    pub write_time: Histogram,
}

impl StoreMetrics {
    pub(super) fn try_new(registry: &Registry) -> Result<Self, MetricsError> {
        Ok(Self {
            stored: add(
                registry,
                IntCounter::new("store_messages_stored_total", "Messages written to the database")?,
            )?,
            dropped: counter(
                registry,
                "store_messages_dropped_total",
                "Messages that are not in the store",
                "reason",
                &["queue_full", "rejected", "shutdown", "too_large"],
            )?,
            errors: counter(
                registry,
                "store_errors_total",
                "Failures of the database",
                "operation",
                &["prune", "read", "write"],
            )?,
            pruned: add(
                registry,
                IntCounter::new("store_messages_pruned_total", "Messages that retention removed")?,
            )?,
            queue_messages: add(
                registry,
                IntGauge::new("store_queue_messages", "Messages that wait to be written")?,
            )?,
            queue_bytes: add(registry, IntGauge::new("store_queue_bytes", "Bytes that wait to be written")?)?,
            up: add(registry, IntGauge::new("store_up", "Whether the database takes messages")?)?,
            write_time: add(
                registry,
                Histogram::with_opts(
                    HistogramOpts::new("store_write_time_seconds", "Time to write a batch")
                        .buckets(timer::BUCKETS.to_vec()),
                )?,
            )?,
        })
    }
}

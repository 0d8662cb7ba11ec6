//! Presence across instances.

use prometheus::{IntCounterVec, IntGauge, Registry};

use super::{MetricsError, add, counter};

/// Presence across instances.
#[derive(Debug)]
pub struct PresenceMetrics {
    /// Other instances whose announcements are heard.
    pub instances: IntGauge,
    /// Announcements by `result`: `sent`, `received`, `malformed`, `refused` (of
    /// too many instances).
    pub announcements: IntCounterVec,
}

impl PresenceMetrics {
    pub(super) fn try_new(registry: &Registry) -> Result<Self, MetricsError> {
        Ok(Self {
            instances: add(
                registry,
                IntGauge::new("presence_instances", "Other instances whose announcements are heard")?,
            )?,
            announcements: counter(
                registry,
                "presence_announcements_total",
                "Announcements of presence",
                "result",
                &["malformed", "received", "refused", "sent"],
            )?,
        })
    }
}

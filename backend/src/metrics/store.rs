//! The message store.

use prometheus::Registry;

use super::MetricsError;

/// The message store.
#[derive(Debug)]
pub struct StoreMetrics {}

impl StoreMetrics {
    #[expect(clippy::unnecessary_wraps, reason = "registers nothing yet")]
    pub(super) fn try_new(registry: &Registry) -> Result<Self, MetricsError> {
        let _ = registry;
        Ok(Self {})
    }
}

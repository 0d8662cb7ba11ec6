//! The relay to other instances.

use prometheus::Registry;

use super::MetricsError;

/// The relay to other instances.
#[derive(Debug)]
pub struct RelayMetrics {}

impl RelayMetrics {
    #[expect(clippy::unnecessary_wraps, reason = "registers nothing yet")]
    pub(super) fn try_new(registry: &Registry) -> Result<Self, MetricsError> {
        let _ = registry;
        Ok(Self {})
    }
}

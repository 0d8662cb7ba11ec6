//! STOMP frames and acknowledgements.

use prometheus::Registry;

use super::MetricsError;

/// STOMP frames and acknowledgements.
#[derive(Debug)]
pub struct StompMetrics {}

impl StompMetrics {
    #[expect(clippy::unnecessary_wraps, reason = "registers nothing yet")]
    pub(super) fn try_new(registry: &Registry) -> Result<Self, MetricsError> {
        let _ = registry;
        Ok(Self {})
    }
}

//! SockJS sessions.

use prometheus::Registry;

use super::MetricsError;

/// SockJS sessions.
#[derive(Debug)]
pub struct SockJsMetrics {}

impl SockJsMetrics {
    #[expect(clippy::unnecessary_wraps, reason = "registers nothing yet")]
    pub(super) fn try_new(registry: &Registry) -> Result<Self, MetricsError> {
        let _ = registry;
        Ok(Self {})
    }
}

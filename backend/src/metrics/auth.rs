//! Authentication and limits.

use prometheus::Registry;

use super::MetricsError;

/// Authentication and limits.
#[derive(Debug)]
pub struct AuthMetrics {}

impl AuthMetrics {
    #[expect(clippy::unnecessary_wraps, reason = "registers nothing yet")]
    pub(super) fn try_new(registry: &Registry) -> Result<Self, MetricsError> {
        let _ = registry;
        Ok(Self {})
    }
}

//! Socket.IO sessions.

use prometheus::Registry;

use super::MetricsError;

/// Socket.IO sessions.
#[derive(Debug)]
pub struct SocketIoMetrics {}

impl SocketIoMetrics {
    #[expect(clippy::unnecessary_wraps, reason = "registers nothing yet")]
    pub(super) fn try_new(registry: &Registry) -> Result<Self, MetricsError> {
        let _ = registry;
        Ok(Self {})
    }
}

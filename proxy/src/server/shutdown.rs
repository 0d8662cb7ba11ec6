//! The end. Shutdown drains: accepting stops, idle connections close, requests in
//! flight end, WebSockets live until the drain time is over, and every log line is
//! written before the process goes.

use std::time::Duration;

use super::{Running, Server, wall_clock};
use crate::admin::Phase;

/// How long tasks and logs may take to end after the drain time. Not scaled.
const FAREWELL: Duration = Duration::from_secs(3);
/// The same when it has to be quick. Not scaled.
const HURRIED_FAREWELL: Duration = Duration::from_millis(500);

impl Server {
    /// Drains and ends: returns once everything has ended, or was cut at the end of the drain time or
    /// when `hurry` completed. Every record is written either way. Says whether there was time enough.
    pub async fn shutdown(self, hurry: impl Future<Output = ()>) -> bool {
        let Running { options, shared, network, logs, traces, .. } = &*self.running;
        let drain = options.scale.apply(options.drain);
        tracing::info!(?drain, "draining");
        self.readiness.enter(Phase::Draining);
        self.running.metrics.process().begin_draining(wall_clock() + drain);
        shared.draining.cancel();
        shared.tracker.close();
        let hurried = tokio::select! {
            biased;
            () = shared.tracker.wait() => false,
            () = tokio::time::sleep(drain) => {
                tracing::info!(open = shared.tracker.len(), "drain time over, closing what is left");
                false
            }
            () = hurry => {
                tracing::warn!(open = shared.tracker.len(), "closing what is left at once");
                true
            }
        };
        let farewell = if hurried { HURRIED_FAREWELL } else { FAREWELL };
        shared.terminated.cancel();
        network.shutdown.fire(());
        drop(tokio::time::timeout(farewell, shared.tracker.wait()).await);
        traces.close(farewell).await;
        self.stopped.cancel();
        self.background.close();
        drop(tokio::time::timeout(farewell, self.background.wait()).await);
        logs.close(farewell).await;
        tracing::info!("stopped");
        !hurried
    }
}

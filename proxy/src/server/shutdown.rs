//! The end. Shutdown drains: accepting stops, idle connections close, requests in
//! flight end, WebSockets live until the drain time is over, and every log line is
//! written before the process goes. The same goes for a process that another one
//! has taken over from, but there is no hurry then.

use std::{pin::pin, time::Duration};

use tokio::time::sleep;

use super::{Running, Server, upgrade::Successor, wall_clock};
use crate::admin::Phase;

/// How long tasks and logs may take to end after the drain time. Not scaled.
const FAREWELL: Duration = Duration::from_secs(3);
/// The same when it has to be quick. Not scaled.
const HURRIED_FAREWELL: Duration = Duration::from_millis(500);
/// How often the log is told what a process waits for whose successor serves. Not scaled.
const REMINDER: Duration = Duration::from_secs(60);

impl Server {
    /// Drains and ends: returns once everything has ended, or was cut at the end of the drain time or
    /// when `hurry` completed. Every record is written either way. Says whether there was time enough.
    pub async fn shutdown(self, hurry: impl Future<Output = ()>) -> bool {
        let drain = self.running.options.scale.apply(self.running.options.drain);
        tracing::info!(?drain, "draining");
        self.stop_accepting(drain);
        let hurried = self.drain(drain, hurry).await;
        self.end(hurried).await;
        !hurried
    }

    /// Leaves the listeners to `successor`, which accepts already, and drains for at most `limit`, scaled.
    ///
    /// `asked` completes when the process is told to end: what is open then has the time of a
    /// [shutdown](Self::shutdown) left, and none when it is told again. Says whether there was time enough.
    pub async fn leave(
        mut self,
        mut successor: Successor,
        limit: Duration,
        mut asked: impl AsyncFnMut(),
    ) -> bool {
        let limit = self.running.options.scale.apply(limit);
        let pid = successor.pid();
        tracing::info!(pid, drain = ?limit, "another process serves from now on, draining");
        successor.go().await;
        // Its connections go on to the other process, and so do those of clients that come back.
        self.admin_stopped.cancel();
        self.admin_socket = None;
        let pace = self.running.listeners.pace().clone();
        pace.leave_idle();
        self.stop_accepting(limit);
        let is_asked = tokio::select! {
            biased;
            () = self.drained(successor, limit) => false,
            () = asked() => true,
        };
        let hurried = if is_asked {
            pace.close_idle();
            let drain = self.running.options.scale.apply(self.running.options.drain);
            tracing::info!(?drain, open = self.running.shared.tracker.len(), "told to end");
            self.drain(drain, asked()).await
        } else {
            false
        };
        self.end(hurried).await;
        !hurried
    }

    /// Whatever is open has `drain` left.
    fn stop_accepting(&self, drain: Duration) {
        self.readiness.enter(Phase::Draining);
        // The end of a drain time beyond all times is none.
        if let Some(deadline) = wall_clock().checked_add(drain) {
            self.running.metrics.process().begin_draining(deadline);
        }
        self.running.shared.draining.cancel();
        self.running.shared.tracker.close();
    }

    /// Waits until everything has ended, for at most `limit`, and says so from time to time.
    async fn drained(&self, mut successor: Successor, limit: Duration) {
        let tracker = &self.running.shared.tracker;
        let mut deadline = pin!(sleep(limit));
        let mut has_ended = false;
        loop {
            tokio::select! {
                biased;
                () = tracker.wait() => return,
                () = &mut deadline => {
                    tracing::info!(open = tracker.len(), "drain time over, closing what is left");
                    return;
                }
                status = successor.ended(), if !has_ended => {
                    has_ended = true;
                    tracing::warn!(status, "the process that serves in the place of this one has ended");
                }
                () = sleep(REMINDER) => tracing::info!(open = tracker.len(), "still draining"),
            }
        }
    }

    /// Waits until everything has ended, for at most `limit`; says whether `hurry` completed before.
    async fn drain(&self, limit: Duration, hurry: impl Future<Output = ()>) -> bool {
        let tracker = &self.running.shared.tracker;
        tokio::select! {
            biased;
            () = tracker.wait() => false,
            () = sleep(limit) => {
                tracing::info!(open = tracker.len(), "drain time over, closing what is left");
                false
            }
            () = hurry => {
                tracing::warn!(open = tracker.len(), "closing what is left at once");
                true
            }
        }
    }

    /// Cuts what is left and ends every task.
    async fn end(self, hurried: bool) {
        let Running { shared, network, logs, traces, .. } = &*self.running;
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
    }
}

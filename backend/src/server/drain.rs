//! Leaving in order, within the drain time.
//!
//! Readiness off and the notice → time for its delivery → grace, in which
//! clients leave by themselves and new connections are still served → no more
//! accepts, sessions closed one after the other over the jitter window → idle
//! connections closed → what is left dropped → relay and store written out.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, ShutdownMode};
use crate::endpoint::Services;

/// The last part of the drain, a tenth, in which nothing new starts and relay
/// and store are written out.
const MARGIN: u32 = 10;

/// The order of leaving.
#[derive(Debug)]
pub(super) struct Drain {
    services: Arc<Services>,
    /// One for each connection, session and stream.
    tasks: TaskTracker,
    /// Relay and store, which outlive the sessions.
    background: JoinSet<()>,
}

impl Drain {
    pub(super) fn new(services: &Arc<Services>, tasks: &TaskTracker, background: JoinSet<()>) -> Self {
        Self { services: Arc::clone(services), tasks: tasks.clone(), background }
    }

    /// Waits for `shutdown`, then takes every step. All tasks have ended when
    /// this returns.
    pub(super) async fn run(mut self, shutdown: &CancellationToken) {
        shutdown.cancelled().await;
        let start = Instant::now();
        self.log_start();
        // From here on the tracker can tell that nobody is left.
        self.tasks.close();
        match self.services.config.server.shutdown {
            ShutdownMode::Graceful => {
                self.tell().await;
                self.close(start).await;
            }
            ShutdownMode::Immediate => self.drop_all().await,
        }
        self.flush(start).await;
    }

    fn log_start(&self) {
        tracing::info!(
            drain_ms = self.services.config.drain.as_millis(),
            websockets = self.services.metrics.websocket_connections_active.get(),
            connections = self.services.metrics.http_connections_active.get(),
            "draining"
        );
    }

    /// Turns readiness off, lets the notice reach the sessions, and gives them
    /// time to leave. Over at once when there are none.
    async fn tell(&self) {
        self.services.lifecycle.draining().cancel();
        let has_sessions = self.services.metrics.websocket_connections_active.get() > 0;
        if has_sessions {
            self.services.announce().await;
            let told = Instant::now() + telling_time(&self.services.config);
            if timeout_at(told, self.tasks.wait()).await.is_ok() {
                tracing::info!("every client has left");
            }
        }
    }

    /// Closes what is open, in the order in which it minds least.
    async fn close(&self, start: Instant) {
        let lifecycle = &self.services.lifecycle;
        let drain = self.services.config.drain;
        let last = start + drain - drain / MARGIN;
        lifecycle.closing().cancel();
        // WebSockets leave within the jitter window. An HTTP connection that
        // idles gets as long to see its `Connection: close`.
        let idle_until = (Instant::now() + self.services.jitter_window()).min(last);
        if timeout_at(idle_until, self.tasks.wait()).await.is_ok() {
            return;
        }
        lifecycle.ending().cancel();
        if timeout_at(last, self.tasks.wait()).await.is_ok() {
            return;
        }
        self.log_leftovers();
        lifecycle.aborting().cancel();
        self.tasks.wait().await;
    }

    /// Tells nobody and waits for nobody.
    async fn drop_all(&self) {
        let lifecycle = &self.services.lifecycle;
        for step in [lifecycle.draining(), lifecycle.closing(), lifecycle.ending(), lifecycle.aborting()] {
            step.cancel();
        }
        self.tasks.wait().await;
    }

    fn log_leftovers(&self) {
        tracing::warn!(
            connections = self.services.metrics.http_connections_active.get(),
            "drain time is over, dropping what is left"
        );
    }

    /// Lets relay and store write what they hold, until the drain time is over.
    async fn flush(&mut self, start: Instant) {
        self.services.lifecycle.flushing().cancel();
        let finished = async { while self.background.join_next().await.is_some() {} };
        if timeout_at(start + self.services.config.drain, finished).await.is_err() {
            tracing::warn!(
                tasks = self.background.len(),
                "drain time is over, relay or store not written out"
            );
            self.background.shutdown().await;
        }
    }
}

/// How long clients have between the notice and the first close.
fn telling_time(config: &Config) -> Duration {
    let shutdown = &config.shutdown;
    shutdown.notice.min(config.drain / 10) + shutdown.grace.min(config.drain / 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notice_and_the_grace_leave_most_of_the_drain_for_closing() {
        let with_drain = |secs| Config { drain: Duration::from_secs(secs), ..Config::default() };
        assert_eq!(telling_time(&with_drain(30)), Duration::from_secs(2 + 5));
        assert_eq!(telling_time(&with_drain(10)), Duration::from_secs(1 + 2));
        assert_eq!(telling_time(&with_drain(600)), Duration::from_secs(2 + 5));
    }
}

//! Leaving in order, within the drain time.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::{Duration, Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::endpoint::{Content, Services};

/// Where clients hear of the server: that it leaves, or may have missed messages.
pub(super) const EVENTS: &str = "/topic/server.events";

/// What they hear.
const NOTICE: &str =
    r#"{"message":"Server maintenance. Please reconnect in a few seconds.","reconnectInSeconds":30}"#;

/// Longest time that the notice gets before the first WebSocket closes.
const NOTICE_TIME: Duration = Duration::from_secs(2);

/// The last part of the drain, in which nothing new starts.
const MARGIN: u32 = 10;

/// The order of leaving.
#[derive(Debug)]
pub(super) struct Drain {
    services: Arc<Services>,
    tasks: TaskTracker,
}

impl Drain {
    pub(super) fn new(services: &Arc<Services>, tasks: &TaskTracker) -> Self {
        Self { services: Arc::clone(services), tasks: tasks.clone() }
    }

    /// Waits for `shutdown`, then takes every step. All tasks have ended when
    /// this returns.
    pub(super) async fn run(self, shutdown: &CancellationToken) {
        shutdown.cancelled().await;
        let start = Instant::now();
        self.log_start();
        self.tell().await;
        self.close(start).await;
    }

    fn log_start(&self) {
        tracing::info!(
            drain_ms = self.services.config.drain.as_millis(),
            websockets = self.services.metrics.websocket_connections_active.get(),
            connections = self.services.metrics.http_connections_active.get(),
            "draining"
        );
    }

    /// Turns readiness off and lets the notice reach those who hear it.
    async fn tell(&self) {
        self.services.lifecycle.draining().cancel();
        if self.services.broker.has_subscribers(EVENTS) {
            self.notify().await;
            tokio::time::sleep((self.services.config.drain / MARGIN).min(NOTICE_TIME)).await;
        }
    }

    /// Closes what is open, in the order in which it minds least.
    async fn close(&self, start: Instant) {
        let lifecycle = &self.services.lifecycle;
        let drain = self.services.config.drain;
        lifecycle.closing().cancel();
        self.tasks.close();
        // WebSockets leave within the jitter window. An HTTP connection that
        // idles gets as long to see its `Connection: close`.
        let idle_until = start + self.services.jitter_window();
        if timeout_at(idle_until, self.tasks.wait()).await.is_ok() {
            return;
        }
        lifecycle.ending().cancel();
        if timeout_at(start + drain - drain / MARGIN, self.tasks.wait()).await.is_ok() {
            return;
        }
        self.log_leftovers();
        lifecycle.aborting().cancel();
        self.tasks.wait().await;
    }

    fn log_leftovers(&self) {
        tracing::warn!(
            connections = self.services.metrics.http_connections_active.get(),
            "drain time is over, dropping what is left"
        );
    }

    async fn notify(&self) {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let body = Bytes::from_static(NOTICE.as_bytes());
        let content = Content::new(EVENTS.to_owned(), headers, body);
        // Clients of other instances stay.
        self.services.publish_here(&content).await;
    }
}

//! What moves between client and target, and how long nothing did.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use crate::alb::context::Context;

/// What moved, and when something did last.
pub(super) struct Activity {
    began: Instant,
    /// Milliseconds after `began`.
    last: AtomicU64,
    pub(super) received: AtomicUsize,
    pub(super) sent: AtomicUsize,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            last: AtomicU64::new(0),
            received: AtomicUsize::new(0),
            sent: AtomicUsize::new(0),
        }
    }

    /// Something moved just now.
    pub(super) fn note(&self) {
        let passed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(passed, Ordering::Relaxed);
    }

    /// Completes when nothing has moved for `limit`.
    pub(super) async fn idle(&self, limit: Duration) {
        loop {
            let expires = self.began + Duration::from_millis(self.last.load(Ordering::Relaxed)) + limit;
            if Instant::now() >= expires {
                return;
            }
            tokio::time::sleep_until(expires).await;
        }
    }

    /// Adds the bytes to the request's record.
    pub(super) fn count(&self, context: &mut Context) {
        context.count_stream(self.received.load(Ordering::Relaxed), self.sent.load(Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn activity_puts_the_idle_timeout_off() {
        let limit = Duration::from_secs(60);
        let activity = Activity::new();
        let moving = async {
            tokio::time::sleep(Duration::from_secs(50)).await;
            activity.note();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = activity.idle(limit) => {}
            () = moving => {}
        }
        assert_eq!(activity.began.elapsed(), Duration::from_secs(110));
    }
}

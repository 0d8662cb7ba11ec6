//! Work that outlives the request that asked for it: connections to identity providers and collectors, shared calls.

use hyper::rt::Executor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Runs such work so that shutdown can end it and wait for its end.
#[derive(Debug, Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    stopped: CancellationToken,
}

impl Tasks {
    /// Runs work in `tracker` until `stopped` is cancelled.
    #[must_use]
    pub const fn new(tracker: TaskTracker, stopped: CancellationToken) -> Self {
        Self { tracker, stopped }
    }

    /// Begins `work`, which is dropped where it is when the process stops.
    pub fn spawn<F>(&self, work: F)
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tracker.spawn(self.stopped.clone().run_until_cancelled_owned(work));
    }
}

impl<F> Executor<F> for Tasks
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, work: F) {
        self.spawn(work);
    }
}

#[cfg(test)]
mod tests {
    use std::future;

    use super::*;

    #[tokio::test]
    async fn stopping_ends_everything_and_can_be_awaited() {
        let (tracker, stopped) = (TaskTracker::new(), CancellationToken::new());
        let tasks = Tasks::new(tracker.clone(), stopped.clone());
        tasks.spawn(future::pending::<()>());
        tasks.execute(future::pending::<()>());
        assert_eq!(tracker.len(), 2);
        stopped.cancel();
        tracker.close();
        tracker.wait().await;
    }
}

//! The end of flows in a target group whose weight has become 0.
//!
//! ELB page: "Listeners for your Network Load Balancers" (weighted target
//! groups): no new flows begin, and those there are get closed after a short
//! while. A weight that comes back in time keeps them; a reload that leaves it at
//! 0 does not begin the while anew.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::cut::Cut;

/// What the flows of one listener in one target group share. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct GroupEnd {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    closed: Cut<()>,
    /// Cancelled to call the end off, once it is under way. Whoever ends the flows holds the lock.
    under_way: Mutex<Option<CancellationToken>>,
}

impl GroupEnd {
    /// Fired when the flows are to be closed.
    pub(super) fn closed(&self) -> Cut<()> {
        self.state.closed.clone()
    }

    /// Closes the flows after `delay`. Asked again, the first time counts.
    pub(super) fn begin(&self, delay: Duration, shared: &Shared) {
        let mut under_way = self.state.under_way.lock();
        if under_way.is_some() {
            return;
        }
        let called_off = under_way.insert(CancellationToken::new()).clone();
        let (state, terminated) = (Arc::clone(&self.state), shared.terminated.clone());
        shared.background.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(delay) => state.close_unless(&called_off),
                () = called_off.cancelled() => {}
                () = terminated.cancelled() => {}
            }
        });
    }

    /// Calls the end off; what flows share from now on: the same, unless they were closed already.
    pub(super) fn call_off(&self) -> Self {
        if let Some(called_off) = self.state.under_way.lock().take() {
            called_off.cancel();
        }
        if self.state.closed.reason().is_some() { Self::default() } else { self.clone() }
    }
}

impl State {
    fn close_unless(&self, called_off: &CancellationToken) {
        // With the lock, so that nothing is closed once it was called off.
        let _under_way = self.under_way.lock();
        if !called_off.is_cancelled() {
            self.closed.fire(());
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep};
    use tokio_util::task::TaskTracker;

    use super::*;

    const DELAY: Duration = Duration::from_secs(60);

    fn shared() -> Shared {
        Shared::new(TaskTracker::new(), TaskTracker::new(), CancellationToken::new())
    }

    #[tokio::test(start_paused = true)]
    async fn flows_are_closed_after_the_delay_counted_from_the_first_time() {
        let (end, shared) = (GroupEnd::default(), shared());
        end.begin(DELAY, &shared);
        sleep(DELAY / 2).await;
        end.begin(DELAY, &shared);
        assert!(end.closed().reason().is_none());
        sleep(DELAY / 2 + Duration::from_millis(1)).await;
        assert!(end.closed().reason().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_that_was_called_off_in_time_does_not_come_and_may_begin_again() {
        let (end, shared) = (GroupEnd::default(), shared());
        end.begin(DELAY, &shared);
        sleep(DELAY / 2).await;
        let next = end.call_off();
        sleep(DELAY * 2).await;
        assert!(next.closed().reason().is_none());
        next.begin(DELAY, &shared);
        sleep(DELAY + Duration::from_millis(1)).await;
        assert!(end.closed().reason().is_some(), "flows from before are closed with the others");
    }

    #[tokio::test(start_paused = true)]
    async fn flows_begun_after_an_end_live() {
        let (end, shared) = (GroupEnd::default(), shared());
        end.begin(DELAY, &shared);
        sleep(DELAY + Duration::from_millis(1)).await;
        let next = end.call_off();
        assert!(end.closed().reason().is_some());
        assert!(next.closed().reason().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn no_drain_waits_for_the_delay_and_nothing_once_all_flows_are_terminated() {
        let (end, shared) = (GroupEnd::default(), shared());
        end.begin(DELAY, &shared);
        assert!(shared.tracker.is_empty());
        shared.terminated.cancel();
        shared.background.close();
        let waited = tokio::time::timeout(Duration::from_secs(1), shared.background.wait());
        advance(Duration::from_millis(1)).await;
        assert!(waited.await.is_ok());
        assert!(end.closed().reason().is_none());
    }
}

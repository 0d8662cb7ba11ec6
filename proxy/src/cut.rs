//! Telling many tunnels and flows at once that they are to end, and why.
//!
//! Like a cancellation token, but cheap to be polled at every wake-up of a flow:
//! as long as the same task polls, that takes no lock.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, OnceLock},
    task::{Poll, Waker},
};

use tokio::sync::Notify;

/// Tells those who share it once when they are to end. Cheap to clone.
#[derive(Debug)]
pub struct Cut<R> {
    shared: Arc<Shared<R>>,
}

#[derive(Debug)]
struct Shared<R> {
    /// Set before anybody is notified.
    reason: OnceLock<R>,
    notify: Notify,
}

impl<R> Clone for Cut<R> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<R> Default for Cut<R> {
    fn default() -> Self {
        Self { shared: Arc::new(Shared { reason: OnceLock::new(), notify: Notify::new() }) }
    }
}

impl<R: Copy> Cut<R> {
    /// Why they are to end, if they are.
    #[must_use]
    pub fn reason(&self) -> Option<R> {
        self.shared.reason.get().copied()
    }

    /// Waits until they are to end.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping the future: asked again, it remembers.
    pub async fn cut(&self) -> R {
        let mut notified = pin!(self.shared.notify.notified());
        let mut listening: Option<Waker> = None;
        poll_fn(|cx| {
            if !listening.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()))
                && notified.as_mut().poll(cx).is_pending()
            {
                listening = Some(cx.waker().clone());
            }
            // After listening has begun, so that a cut in between is not missed.
            self.reason().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// They are to end. The first reason stands.
    pub fn fire(&self, reason: R) {
        if self.shared.reason.set(reason).is_ok() {
            self.shared.notify.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio_util::task::TaskTracker;

    use super::*;

    #[tokio::test]
    async fn all_who_wait_are_told_and_the_first_reason_stands() {
        let cut = Cut::default();
        let tasks = TaskTracker::new();
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let cut = cut.clone();
                tasks.spawn(async move { cut.cut().await })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!((cut.reason(), cut.cut().now_or_never()), (None, None));
        cut.fire("first");
        cut.fire("second");
        for task in waiting {
            assert_eq!(task.await.unwrap(), "first");
        }
        assert_eq!(cut.cut().now_or_never(), Some("first"));
    }

    #[tokio::test]
    async fn a_task_that_polls_again_and_again_is_told() {
        let cut = Cut::default();
        let ticking = cut.clone();
        let task = TaskTracker::new().spawn(async move {
            let mut ended = pin!(ticking.cut());
            loop {
                tokio::select! {
                    biased;
                    reason = &mut ended => return reason,
                    () = tokio::task::yield_now() => {}
                }
            }
        });
        tokio::task::yield_now().await;
        cut.fire(7);
        assert_eq!(task.await.unwrap(), 7);
    }
}

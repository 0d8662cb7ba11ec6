//! How the flows of a network load balancer are told that their target wants them no more.
//!
//! ELB pages: "Edit target group attributes for your Network Load Balancer"
//! (deregistration delay, connection termination for unhealthy targets,
//! unhealthy draining interval), "Health checks for Network Load Balancer
//! target groups". When a cut is due is decided by the group; what is done to
//! the sockets of a flow is not here.

use parking_lot::Mutex;

use crate::cut::Cut;

/// Why the flows on a target are reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CutReason {
    /// The deregistration delay is over, with `deregistration_delay.connection_termination.enabled`.
    Deregistered,
    /// The target turned unhealthy, with `target_health_state.unhealthy.connection_termination.enabled`; or its
    /// unhealthy draining interval is over.
    Unhealthy,
}

/// Tells the flows on a target when they are to be reset.
pub type FlowCut = Cut<CutReason>;

/// The flows on one target.
#[derive(Debug, Default)]
pub(super) struct Flows {
    now: Mutex<FlowCut>,
}

impl Flows {
    /// What a flow that begins now listens to.
    pub(super) fn now(&self) -> FlowCut {
        self.now.lock().clone()
    }

    /// Resets the flows there are. Those begun later live, unless the target is deregistered.
    pub(super) fn cut(&self, reason: CutReason) {
        let mut now = self.now.lock();
        now.fire(reason);
        if now.reason() == Some(CutReason::Unhealthy) {
            *now = FlowCut::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;
    use tokio_util::task::TaskTracker;

    use super::*;

    #[tokio::test]
    async fn a_cut_reaches_the_flows_there_are_and_not_those_begun_later() {
        let flows = Flows::default();
        let (first, second) = (flows.now(), flows.now());
        let tasks = TaskTracker::new();
        let waiting = tasks.spawn(async move { first.cut().await });
        tokio::task::yield_now().await;
        assert_eq!(second.cut().now_or_never(), None);
        flows.cut(CutReason::Unhealthy);
        assert_eq!(waiting.await.unwrap(), CutReason::Unhealthy);
        assert_eq!(second.cut().now_or_never(), Some(CutReason::Unhealthy));
        assert_eq!(second.reason(), Some(CutReason::Unhealthy));
        let later = flows.now();
        assert_eq!((later.reason(), later.cut().now_or_never()), (None, None));
        flows.cut(CutReason::Deregistered);
        assert_eq!(later.cut().await, CutReason::Deregistered);
        assert_eq!(second.reason(), Some(CutReason::Unhealthy), "the first reason stands");
    }

    #[tokio::test]
    async fn flows_begun_after_a_deregistration_are_cut_at_once() {
        let flows = Flows::default();
        flows.cut(CutReason::Deregistered);
        flows.cut(CutReason::Unhealthy);
        assert_eq!(flows.now().cut().now_or_never(), Some(CutReason::Deregistered));
    }

    #[tokio::test]
    async fn a_flow_that_is_polled_for_other_reasons_is_still_told() {
        let flows = Flows::default();
        let cut = flows.now();
        let (bytes, mut arrived) = tokio::sync::mpsc::channel::<()>(1);
        let tasks = TaskTracker::new();
        let flow = tasks.spawn(async move {
            let mut cut = pin!(cut.cut());
            loop {
                tokio::select! {
                    reason = &mut cut => return reason,
                    _ = arrived.recv() => {}
                }
            }
        });
        for _ in 0..10 {
            bytes.send(()).await.unwrap();
            tokio::task::yield_now().await;
        }
        flows.cut(CutReason::Unhealthy);
        assert_eq!(flow.await.unwrap(), CutReason::Unhealthy);
    }

    #[tokio::test]
    async fn a_flow_that_moves_to_another_task_is_still_told() {
        let flows = Flows::default();
        let cut = flows.now();
        let mut waiting = Box::pin(async move { cut.cut().await });
        assert_eq!(waiting.as_mut().now_or_never(), None);
        let moved = TaskTracker::new().spawn(waiting);
        tokio::task::yield_now().await;
        flows.cut(CutReason::Unhealthy);
        assert_eq!(moved.await.unwrap(), CutReason::Unhealthy);
    }
}

//! Faults on purpose, done to flows: what [`Faults`](crate::fault::Faults) decides happens here.
//!
//! Not of ELB: `albeit.fault.*` of the target group. A flow meets them once, when it begins; of one that is
//! open only a slow target is felt. Targets of the type `alb` have none: their own groups may.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::sleep,
};

use super::{
    Shared,
    flow::{Flow, Route, ended, interruption},
    state::GroupState,
    tls_stream::IntoTcp,
};
use crate::{
    fault::{Decision, End, Pace},
    flow::CloseReason,
    tunnel::{self, Connection, EarlyBytes},
};

/// What is done to a flow of `group`.
pub(super) fn decide(group: &GroupState) -> Decision {
    group.faults.as_ref().map_or_else(Decision::default, |faults| faults.decide(rand::random))
}

/// How slowly the bytes of targets of `group` come, if they are slowed.
pub(super) fn pace(group: &GroupState) -> Option<Pace> {
    group.faults.as_ref()?.pace()
}

/// Holds the connection to the target up, as a slow network does; what is left of `limit` after.
///
/// # Errors
/// [`CloseReason::ConnectTimeout`] if nothing is left.
pub(super) async fn delay(decision: Decision, limit: Duration) -> Result<Duration, CloseReason> {
    let Some(delay) = decision.delay else { return Ok(limit) };
    sleep(delay.min(limit)).await;
    limit.checked_sub(delay).filter(|left| !left.is_zero()).ok_or(CloseReason::ConnectTimeout)
}

/// Ends a flow that gets no target, though one was chosen.
pub(super) async fn end<C: IntoTcp>(
    flow: Flow,
    end: End,
    mut client: C,
    early: EarlyBytes,
    route: &Route,
    shared: &Shared,
) {
    if end != End::BlackHole {
        tokio::select! {
            () = sleep(route.fault.delay.unwrap_or_default()) => {}
            () = ended(route, shared) => {}
        }
        return flow.refuse(client.into_tcp(), CloseReason::Fault);
    }
    let (settings, ended) = (flow.settings(), ended(route, shared));
    let reason = tunnel::relay(&mut client, &mut BlackHole, early, settings, ended).await;
    flow.end(&reason, interruption(route, shared), (client.into_tcp(), None), shared);
}

/// A target that takes everything and never says anything.
#[derive(Debug)]
struct BlackHole;

impl AsyncRead for BlackHole {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for BlackHole {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Connection for BlackHole {}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_delay_takes_its_time_from_the_time_to_connect() {
        let limit = Duration::from_secs(30);
        for (millis, left) in
            [(None, Ok(30)), (Some(10_000), Ok(20)), (Some(30_000), Err(CloseReason::ConnectTimeout))]
        {
            let decision = Decision { delay: millis.map(Duration::from_millis), end: None };
            let began = Instant::now();
            assert_eq!(delay(decision, limit).await, left.map(Duration::from_secs));
            assert_eq!(began.elapsed(), Duration::from_millis(millis.unwrap_or(0)).min(limit));
        }
        let forever = Decision { delay: Some(Duration::from_secs(3600)), end: None };
        let began = Instant::now();
        assert_eq!(delay(forever, limit).await, Err(CloseReason::ConnectTimeout));
        assert_eq!(began.elapsed(), limit);
    }
}

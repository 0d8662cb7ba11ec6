//! Faults on purpose, done to requests: what [`Faults`](crate::fault::Faults) decides happens here.
//!
//! Not of ELB: `albeit.fault.*` of the target group. Each is to look, to the client and in the access log, like
//! the failure that it stands for. Abort and reset have no cause that ELB knows: `error_reason` names them.
//! WebSocket upgrades are requests here; once open, only a slow target concerns them. What waits is boxed, so
//! that requests of groups without faults keep no room for it.

use std::{
    pin::pin,
    time::{Duration, SystemTime},
};

use tokio::time::{Instant, sleep};

use super::{
    error::Cause,
    exchange::{Exchange, Outcome},
    state::{GroupState, Shared},
    transfer::{self, UploadProgress},
};
use crate::{
    fault::{Decision, End, Pace, Throttle},
    target_groups::{Target, http2_pool::Http2Stream, pool::TargetConnection},
};

/// `error_reason` of a request that was answered by `albeit.fault.abort`.
const ABORTED: &str = "AlbeitFaultAbort";
/// `error_reason` of a request whose client was reset by `albeit.fault.reset`.
const RESET: &str = "AlbeitFaultReset";

/// What is done to a request for `group`.
pub(super) fn decide(group: &GroupState) -> Decision {
    group.faults.as_ref().map_or_else(Decision::default, |faults| faults.decide(rand::random))
}

/// Ends a request that gets no target.
///
/// # Errors
///
/// The status it is answered with.
pub(super) async fn before_target(
    exchange: &mut Exchange<'_>,
    decision: Decision,
) -> Result<Option<Outcome>, Cause> {
    let reason = match decision.end {
        None | Some(End::BlackHole) => return Ok(None),
        Some(End::Abort(_)) => ABORTED,
        Some(End::Reset) => RESET,
    };
    if let Some(delay) = decision.delay {
        Box::pin(wait(exchange, delay, None)).await?;
    }
    exchange.context.error_reason = Some(reason);
    if let Some(End::Abort(status)) = decision.end {
        return Err(Cause::Fault(status));
    }
    exchange.context.connection.meter.reset.ask();
    Ok(Some(Outcome::Aborted))
}

/// Holds a request up on its way to `target`: for a while, or until it is given up.
///
/// The time counts as the target's, since a slow or silent network is what it stands for.
///
/// # Errors
///
/// Why the request is given up.
pub(super) async fn before_sending(
    exchange: &mut Exchange<'_>,
    decision: Decision,
    target: &Target,
) -> Result<(), Cause> {
    if let Some(delay) = decision.delay {
        let began = Instant::now();
        let waited = Box::pin(wait(exchange, delay, Some(target))).await;
        exchange.context.delayed = began.elapsed();
        if waited.is_err() {
            exchange.context.dispatch(Instant::now());
        }
        waited?;
    }
    if decision.end == Some(End::BlackHole) {
        exchange.context.dispatch(Instant::now());
        return Err(Box::pin(swallow(exchange, target)).await);
    }
    Ok(())
}

/// Waits as for a target that does not answer: no longer than the idle timeout.
async fn wait(exchange: &mut Exchange<'_>, delay: Duration, target: Option<&Target>) -> Result<(), Cause> {
    let idle = exchange.idle_timeout();
    let watches_client = exchange.session.is_body_done();
    tokio::select! {
        biased;
        () = sleep(delay.min(idle)) => if delay < idle { Ok(()) } else { Err(Cause::TargetTimeout) },
        // Without a body to come, all that the client can do now is leave.
        _ = exchange.session.read_body_or_idle(true), if watches_client => Err(Cause::ClientClosedRequest),
        () = given_up(exchange.shared, target) => Err(Cause::Deregistered),
    }
}

/// Takes whatever the client sends, until the idle timeout has passed without a byte of it; why the request
/// ends then.
async fn swallow(exchange: &mut Exchange<'_>, target: &Target) -> Cause {
    let idle = exchange.idle_timeout();
    let mut upload = match transfer::begin_upload(exchange).await {
        Ok(upload) => upload,
        Err(cause) => return cause,
    };
    let mut given_up = pin!(given_up(exchange.shared, Some(target)));
    loop {
        let is_whole = upload == UploadProgress::Done;
        tokio::select! {
            biased;
            body = exchange.session.read_body_or_idle(is_whole) => match body {
                Err(_) if is_whole => return Cause::ClientClosedRequest,
                Err(_) => return Cause::ClientClosedBody,
                Ok(bytes) => {
                    exchange.context.count_stream(bytes.as_ref().map_or(0, bytes::Bytes::len), 0);
                    if bytes.is_none() || exchange.session.is_body_done() {
                        upload = UploadProgress::Done;
                    }
                }
            },
            () = sleep(idle) => return if is_whole { Cause::TargetTimeout } else { Cause::RequestTimeout },
            () = &mut given_up => return Cause::Deregistered,
        }
    }
}

async fn given_up(shared: &Shared, target: Option<&Target>) {
    match target {
        Some(target) => shared.cut(target).await,
        None => shared.terminated.cancelled().await,
    }
}

/// The pooled connection a request is about to use, unless it is closed at this moment.
///
/// The request counts as sent, and no target gets it: that is what a close that crosses a request looks like.
///
/// # Errors
///
/// [`Cause::TargetClosed`].
pub(super) fn reuse(
    exchange: &mut Exchange<'_>,
    group: &GroupState,
    connection: TargetConnection,
) -> Result<TargetConnection, Cause> {
    if closes_reused_connection(exchange, group) { Err(Cause::TargetClosed) } else { Ok(connection) }
}

/// The same for a place on an HTTP/2 connection: it takes no more requests, and ends with those it has.
///
/// # Errors
///
/// [`Cause::TargetClosed`].
pub(super) fn reuse_http2(
    exchange: &mut Exchange<'_>,
    group: &GroupState,
    place: Http2Stream,
) -> Result<Http2Stream, Cause> {
    if closes_reused_connection(exchange, group) {
        place.retire();
        return Err(Cause::TargetClosed);
    }
    Ok(place)
}

fn closes_reused_connection(exchange: &mut Exchange<'_>, group: &GroupState) -> bool {
    let closes = group.faults.as_ref().is_some_and(|faults| faults.closes_reused_connection(rand::random));
    if closes {
        exchange.context.dispatch(Instant::now());
    }
    closes
}

/// What slows the response of a target of `group`, if anything does.
pub(super) fn throttle(group: &GroupState) -> Option<Box<Throttle>> {
    Some(Box::new(Throttle::new(pace(Some(group))?)))
}

/// What the clock that seals the cookies of `group` shows at `now`.
pub(super) fn cookie_clock(group: &GroupState, now: SystemTime) -> SystemTime {
    group.faults.as_ref().map_or(now, |faults| faults.cookie_clock(now))
}

/// How slowly the bytes of a WebSocket of `group` come from its target, if they are slowed.
pub(super) fn pace(group: Option<&GroupState>) -> Option<Pace> {
    group?.faults.as_ref()?.pace()
}

//! A second attempt for a request that met the keep-alive race.
//!
//! Not of ELB, which answers 502 when a target closes a pooled connection as a request comes on it
//! (`albeit.retry_closed_reused_connection`, off by default). Safe as RFC 9110 section 9.2.2 has it: the method
//! is idempotent. There is no body either, so that nothing of the request is lost with the first attempt.

use std::sync::Arc;

use pingora::http::RequestHeader;

use super::{exchange::Exchange, state::GroupState};
use crate::target_groups::{OutstandingGuard, Target};

/// What is needed to send a request once more; `None` if it must not be.
pub(super) fn copy(
    exchange: &mut Exchange<'_>,
    group: &GroupState,
    guard: &OutstandingGuard,
    head: &RequestHeader,
) -> Option<(Arc<Target>, Box<RequestHeader>)> {
    let may_repeat = group.retries_closed_reused_connection
        && head.method.is_idempotent()
        && exchange.session.is_body_empty();
    may_repeat.then(|| (Arc::clone(guard.target()), Box::new(head.clone())))
}

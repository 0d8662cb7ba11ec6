//! What of a request goes to the last requests, which the dashboard shows.

use std::sync::Arc;

use pingora::http::RequestHeader;
use tokio::time::Instant;

use super::{
    context::Context,
    meaning::{Ending, Facts, meaning},
};
use crate::access_log::recent::Entry;

/// Keeps a request that has ended, with what it means, if it has failed or somebody watches.
pub(super) fn finish(context: &Context, request: Option<&RequestHeader>, now: Instant) {
    let load_balancer = &context.state.load_balancer;
    let has_failed = has_failed(context);
    if !load_balancer.recent.wants(has_failed) {
        return;
    }
    let facts = Facts {
        elb_status: context.elb_status,
        target_status: context.target_status,
        cause: context.cause,
        ending: context.ending,
        classification: context.classification.map(|(class, _)| class),
        error_reason: context.error_reason,
        reuses_connection: context.reuses_connection,
        fails_open: context.fails_open,
        has_faults: context.group.as_ref().is_some_and(|group| group.faults.is_some()),
        idle_timeout: load_balancer.timers.idle,
        took: now.saturating_duration_since(context.created),
    };
    let attempt = context.target_attempt();
    let record = context.record(request, now, attempt.as_slice());
    let (arn, meaning) = (Arc::clone(&load_balancer.arn), meaning(&facts));
    load_balancer.recent.push(Entry::new(&record, arn, context.actions, has_failed, meaning));
}

/// Whether the load balancer answered with an error or stepped in later, or the target failed.
fn has_failed(context: &Context) -> bool {
    let answered = match context.target_status {
        Some(status) => status >= 500,
        None => context.elb_status.is_none_or(|status| status >= 400),
    };
    answered || context.cause.is_some() || context.ending.is_some_and(Ending::is_failure)
}

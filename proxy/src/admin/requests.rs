//! `/requests`: the last requests, the newest first, as the access log has them and with what they mean.
//!
//! Those that failed are always kept, the others while somebody watches the dashboard. Members are named after
//! the fields of the log. Failed are those that the load balancer answered with 4XX or 5XX or broke off, those
//! that the target answered with 5XX, and WebSockets that were cut.

use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{
    AdminState,
    api_error::ApiError,
    control::InForce,
    dashboard::milliseconds,
    load_balancers,
    query::{Query, present},
};
use crate::access_log::{recent::Entry, record::MatchedRule};

/// Parameters besides those of paging.
pub(super) const PARAMETERS: &[&str] = &["LoadBalancerArn", "Errors"];

/// The requests of a load balancer, or of all; with `Errors=true` those that failed.
pub(super) fn list(state: &AdminState, in_force: &InForce, query: &Query) -> Result<Value, ApiError> {
    let arn = query.one("LoadBalancerArn")?;
    if let Some(arn) = arn {
        load_balancers::by_arn(&in_force.model, arn)?;
    }
    let failed_only = match query.one("Errors")? {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => {
            let message = format!("'Errors' value '{other}' must be 'true' or 'false'");
            return Err(ApiError::validation(message));
        }
    };
    let entries = state.dashboard.recent.newest_first();
    let wanted = entries.iter().filter(|entry| {
        arn.is_none_or(|arn| *entry.load_balancer_arn == *arn) && (!failed_only || entry.has_failed)
    });
    query.page("Requests", wanted.map(|entry| describe(entry)))
}

/// One request.
pub(super) fn describe(entry: &Entry) -> Value {
    let meaning = &entry.meaning;
    let rule = match entry.matched_rule {
        MatchedRule::NotReached => Value::Null,
        MatchedRule::EvaluationError => (-1).into(),
        MatchedRule::Default => 0.into(),
        MatchedRule::Priority(priority) => priority.into(),
    };
    json!({
        "Number": entry.number,
        "Time": milliseconds(OffsetDateTime::from(entry.time)),
        "LoadBalancerArn": *entry.load_balancer_arn,
        "Type": entry.kind,
        "Client": entry.client.to_string(),
        "Target": entry.target.map(|target| target.to_string()),
        "ElbStatusCode": entry.elb_status_code,
        "TargetStatusCode": entry.target_status_code,
        "RequestProcessingTime": processing_time(entry.request_processing_time),
        "TargetProcessingTime": processing_time(entry.target_processing_time),
        "ResponseProcessingTime": processing_time(entry.response_processing_time),
        "ReceivedBytes": entry.received_bytes,
        "SentBytes": entry.sent_bytes,
        "Request": entry.request,
        "UserAgent": entry.user_agent,
        "TargetGroup": entry.target_group_arn.as_deref().and_then(|arn| arn.rsplit('/').nth(1)),
        "TargetGroupArn": entry.target_group_arn,
        "MatchedRulePriority": rule,
        "Actions": entry.actions.as_slice().iter().map(|action| action.as_str()).collect::<Vec<_>>(),
        "ErrorReason": entry.error_reason,
        "ConnTraceId": entry.conn_trace_id.to_string(),
        "TraceId": entry.trace_id,
        "Line": entry.line,
        "Failed": entry.has_failed,
        "Meaning": present(json!({
            "Title": meaning.title,
            "Text": meaning.text,
            "Severity": meaning.severity.as_str(),
            "More": meaning.more,
        })),
    })
}

/// Seconds with milliseconds, cut as in the log; -1 for no time.
fn processing_time(time: Option<Duration>) -> Value {
    match time {
        #[expect(clippy::cast_precision_loss, reason = "a time of millions of years")]
        Some(time) => json!(time.as_millis() as f64 / 1000.0),
        None => (-1).into(),
    }
}

//! The event `tick`: what happens, once a second.
//!
//! Read from the metrics and the run-time state of the target groups, which are there anyhow: a tick costs
//! nothing while nobody watches, and no request ever.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::time::Instant;

use super::rates::Rates;
use crate::{
    admin::{AdminState, Phase, connections::seconds, control::InForce, listeners, query::present, targets},
    metrics::Buckets,
    model::{LoadBalancer, LoadBalancerType, Model, TargetGroup, TargetGroupIndex, TargetGroupProtocol, arn},
    target_groups::{Group, TargetDescription},
};

/// One tick.
pub(super) fn tick(state: &AdminState, in_force: &InForce, rates: &mut Rates, now: Instant) -> Value {
    let model = &in_force.model;
    rates.begin(now);
    let mut rules = Map::new();
    let load_balancers: Vec<_> = model
        .load_balancers
        .iter()
        .map(|it| match it.kind {
            LoadBalancerType::Application => application(state, model, it, &mut rules, rates),
            LoadBalancerType::Network => network(state, it, rates),
        })
        .collect();
    let groups = state.registry.groups();
    let target_groups: Vec<_> = groups.iter().map(|it| target_group(state, model, it, rates, now)).collect();
    rates.end();
    let phase = match state.readiness.phase() {
        Phase::Starting => "starting",
        Phase::Ready => "ready",
        Phase::Draining => "draining",
    };
    present(json!({
        "Time": milliseconds(OffsetDateTime::now_utc()),
        "Phase": phase,
        "DrainRemainingSeconds": drain_remaining(state),
        "LoadBalancers": load_balancers,
        "Rules": rules,
        "TargetGroups": target_groups,
    }))
}

/// Seconds until what is left of a process that drains is cut.
fn drain_remaining(state: &AdminState) -> Option<f64> {
    let process = state.metrics.process();
    let deadline =
        u64::try_from(process.drain_deadline.get()).ok().filter(|_| process.draining.get() == 1)?;
    let left = (SystemTime::UNIX_EPOCH + Duration::from_secs(deadline)).duration_since(SystemTime::now());
    Some(seconds(left.unwrap_or_default()))
}

/// A time to the millisecond.
pub(in crate::admin) fn milliseconds(time: OffsetDateTime) -> Option<String> {
    let whole = time.replace_nanosecond(u32::from(time.millisecond()) * 1_000_000).ok()?;
    whole.format(&Rfc3339).ok()
}

fn application(
    state: &AdminState,
    model: &Model,
    load_balancer: &LoadBalancer,
    rules: &mut Map<String, Value>,
    rates: &mut Rates,
) -> Value {
    let (arn, log_name) = (&load_balancer.arn, &load_balancer.log_name);
    let mut requests = 0;
    for (_, listener) in listeners::all(model).filter(|(owner, _)| owner.arn == *arn) {
        let name = listener.metric_name();
        let priorities = listener.rules.iter().map(|rule| (rule.arn.clone(), rule.priority));
        for (rule, priority) in priorities.chain([(arn::rule(&listener.arn, 0), 0)]) {
            let matched = state.metrics.rule(log_name, &name, priority).matched_requests.get();
            requests += matched;
            rules.insert(rule, matched.into());
        }
    }
    let (mut buckets, mut target_errors) = (Buckets::default(), 0);
    let mut groups: Vec<_> = load_balancer.target_groups().collect();
    groups.sort_unstable_by_key(|group| group.0);
    groups.dedup();
    for group in groups.into_iter().filter_map(|index| model.target_group(index)) {
        let metrics = state.metrics.target_group(log_name, &group.metric_name);
        buckets.add(&Buckets::of(&metrics.target_response_time));
        target_errors += metrics.httpcode_target_5xx.get();
    }
    let metrics = state.metrics.load_balancer(log_name);
    let elb_errors = metrics.httpcode_elb_4xx.get() + metrics.httpcode_elb_5xx.get();
    let responses: Vec<_> = state
        .metrics
        .elb_error_counts(log_name)
        .iter()
        .map(|it| json!({ "Cause": pascal_case(&it.cause), "Status": it.status, "Count": it.count }))
        .collect();
    json!({
        "LoadBalancerArn": arn,
        "RequestsPerSecond": rates.per_second(arn, "requests", requests),
        "ElbErrorsPerSecond": rates.per_second(arn, "elb_errors", elb_errors),
        "TargetErrorsPerSecond": rates.per_second(arn, "target_errors", target_errors),
        "ActiveConnectionCount": metrics.active_connection_count.get(),
        "NewConnectionsPerSecond": rates.per_second(arn, "connections", metrics.new_connection_count.get()),
        "ProcessedBytesPerSecond": rates.per_second(arn, "bytes", metrics.processed_bytes.get()),
        "OpenWebSockets": metrics.open_websockets.get(),
        "TargetResponseTime": rates.percentiles(arn, buckets),
        "ElbResponses": responses,
    })
}

fn network(state: &AdminState, load_balancer: &LoadBalancer, rates: &mut Rates) -> Value {
    let arn = &load_balancer.arn;
    let metrics = state.metrics.network_load_balancer(&load_balancer.log_name);
    let counts = &metrics.counts;
    json!({
        "LoadBalancerArn": arn,
        "NewConnectionsPerSecond": rates.per_second(arn, "flows", counts.new_flow_count.get()),
        "ProcessedBytesPerSecond": rates.per_second(arn, "bytes", counts.processed_bytes.get()),
        "ActiveConnectionCount": counts.active_flow_count.get(),
        "OpenFlows": counts.active_flow_count.get(),
    })
}

fn target_group(state: &AdminState, model: &Model, group: &Group, rates: &mut Rates, now: Instant) -> Value {
    let arn = group.arn();
    let settings = model.target_groups.iter().enumerate().find(|(_, it)| it.name == group.name());
    let (mut requests, mut buckets) = (0, Buckets::default());
    if let Some((index, settings)) = settings {
        let is_user = |it: &&LoadBalancer| {
            it.kind == LoadBalancerType::Application
                && it.target_groups().any(|group| group == TargetGroupIndex(index))
        };
        for load_balancer in model.load_balancers.iter().filter(is_user) {
            let metrics = state.metrics.target_group(&load_balancer.log_name, &settings.metric_name);
            requests += metrics.request_count.get();
            buckets.add(&Buckets::of(&metrics.target_response_time));
        }
    }
    let settings = settings.map(|(_, settings)| settings);
    let targets: Vec<_> =
        group.describe().iter().map(|it| target(&arn, settings, model, it, rates, now)).collect();
    json!({
        "TargetGroupArn": arn,
        "TargetGroupName": group.name(),
        "RequestsPerSecond": rates.per_second(&arn, "requests", requests),
        "TargetResponseTime": rates.percentiles(&arn, buckets),
        "Targets": targets,
    })
}

fn target(
    group: &str,
    settings: Option<&TargetGroup>,
    model: &Model,
    target: &TargetDescription,
    rates: &mut Rates,
    now: Instant,
) -> Value {
    let has_flows =
        settings.is_some_and(|it| matches!(it.protocol, TargetGroupProtocol::Tcp | TargetGroupProtocol::Tls));
    let left = target.drained_at.map(|end| seconds(end.saturating_duration_since(now)));
    // One that was registered again is another than the one that drains at the same address.
    let owner = format!("{group} {} {}", target.addr, left.is_some());
    let mut described = targets::describe(target, settings, model);
    let more = present(json!({
        "RequestCount": target.request_count,
        "RequestsPerSecond": rates.per_second(&owner, "requests", target.request_count),
        "StickyRequestCount": target.sticky_request_count,
        "OpenWebSockets": (!has_flows).then_some(target.open_websockets),
        "OpenFlows": has_flows.then_some(target.outstanding),
        "DeregistrationRemainingSeconds": left,
    }));
    if let (Some(members), Value::Object(more)) = (described.as_object_mut(), more) {
        members.extend(more);
    }
    described
}

/// A cause as ELB writes names: `target_closed` is `TargetClosed`.
fn pascal_case(name: &str) -> String {
    let capitalised = name.split('_').map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    });
    capitalised.collect()
}

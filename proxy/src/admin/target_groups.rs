//! `/target-groups`: the members of `DescribeTargetGroups`.

use serde_json::{Value, json};

use super::{
    api_error::ApiError,
    control::InForce,
    load_balancers,
    query::{Query, present},
};
use crate::model::{
    HealthCheckProtocol, Listener, LoadBalancer, Model, TargetGroup, TargetGroupIndex, TargetGroupProtocol,
    rule::Actions,
    target_group::{Matcher, ProtocolVersion},
};

/// Parameters besides those of paging.
pub(super) const PARAMETERS: &[&str] = &["Names", "TargetGroupArns", "LoadBalancerArn"];

/// The target groups by name, ARN or load balancer, or all.
pub(super) fn list(in_force: &InForce, query: &Query) -> Result<Value, ApiError> {
    let model = &in_force.model;
    let (names, arns) = (query.all("Names"), query.all("TargetGroupArns"));
    let user = match query.one("LoadBalancerArn")? {
        Some(arn) => Some(load_balancers::by_arn(model, arn)?.1),
        None => None,
    };
    let known = |text: &&&str| model.target_groups.iter().any(|it| it.name == ***text || it.arn == ***text);
    if names.iter().chain(&arns).any(|text| !known(&text)) {
        return Err(not_found());
    }
    let all = names.is_empty() && arns.is_empty();
    let wanted = model.target_groups.iter().enumerate().filter(|(index, it)| {
        (all || names.contains(&it.name.as_str()) || arns.contains(&it.arn.as_str()))
            && user.is_none_or(|user| uses(user, TargetGroupIndex(*index)))
    });
    query.page("TargetGroups", wanted.map(|(index, group)| describe(model, index, group)))
}

/// The target group with this ARN or, if there is none, name.
pub(super) fn by_arn_or_name<'m>(
    model: &'m Model,
    arn: Option<&str>,
    name: Option<&str>,
) -> Result<(usize, &'m TargetGroup), ApiError> {
    let mut groups = model.target_groups.iter().enumerate();
    let found = match (arn, name) {
        (Some(arn), None) => groups.find(|(_, group)| group.arn == arn),
        (None, Some(name)) => groups.find(|(_, group)| group.name == name),
        _ => {
            let message = "exactly one of 'TargetGroupArn' and 'TargetGroupName' is needed";
            return Err(ApiError::validation(message));
        }
    };
    found.ok_or_else(not_found)
}

/// No group has the name or ARN.
pub(super) fn not_found() -> ApiError {
    ApiError::new("TargetGroupNotFound", "One or more target groups not found")
}

fn uses(load_balancer: &LoadBalancer, index: TargetGroupIndex) -> bool {
    let forwards = |actions: &Actions| actions.action.target_groups().any(|group| group == index);
    let uses = |listener: &Listener| {
        forwards(&listener.default_actions) || listener.rules.iter().any(|rule| forwards(&rule.actions))
    };
    load_balancer.listeners.iter().any(uses)
}

fn describe(model: &Model, index: usize, group: &TargetGroup) -> Value {
    let users = model.load_balancers.iter().filter(|it| uses(it, TargetGroupIndex(index)));
    let users: Vec<_> = users.map(|it| it.arn.as_str()).collect();
    let check = &group.health_check;
    let is_http = matches!(group.protocol, TargetGroupProtocol::Http | TargetGroupProtocol::Https);
    // Checks of TCP ask nothing.
    let is_asked = check.protocol != HealthCheckProtocol::Tcp;
    let matcher = match group.protocol_version {
        ProtocolVersion::Grpc => json!({ "GrpcCode": codes(&check.matcher) }),
        ProtocolVersion::Http1 | ProtocolVersion::Http2 => json!({ "HttpCode": codes(&check.matcher) }),
    };
    present(json!({
        "TargetGroupArn": group.arn,
        "TargetGroupName": group.name,
        "Protocol": group.protocol.as_str(),
        "ProtocolVersion": is_http.then(|| group.protocol_version.as_str()),
        "Port": group.port,
        "TargetType": group.target_type.as_str(),
        "HealthCheckEnabled": true,
        "HealthCheckProtocol": check.protocol.as_str(),
        "HealthCheckPort": check.port.map_or_else(|| "traffic-port".to_owned(), |port| port.to_string()),
        "HealthCheckPath": is_asked.then_some(&check.path),
        "HealthCheckIntervalSeconds": check.interval.as_secs(),
        "HealthCheckTimeoutSeconds": check.timeout.as_secs(),
        "HealthyThresholdCount": check.healthy_threshold,
        "UnhealthyThresholdCount": check.unhealthy_threshold,
        "Matcher": is_asked.then_some(matcher),
        "LoadBalancerArns": users,
    }))
}

/// As it is written: `200,202` or `200-299`.
fn codes(matcher: &Matcher) -> String {
    let ranges = matcher.0.iter().map(
        |(low, high)| {
            if low == high { low.to_string() } else { format!("{low}-{high}") }
        },
    );
    ranges.collect::<Vec<_>>().join(",")
}

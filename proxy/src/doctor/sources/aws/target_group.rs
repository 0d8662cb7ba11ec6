//! `DescribeTargetGroups` and `DescribeTargetHealth`.

use super::{item::Item, listener::kind, resources::Id};
use crate::{
    doctor::{
        attributes::Attributes,
        document::Node,
        setting::Setting,
        system::{HealthCheck, TargetGroup},
    },
    model::{LoadBalancerType, attributes::Resource},
};

/// A target group with its ARN; `None` if it has no name, or is of a Gateway Load Balancer.
pub(in crate::doctor::sources) fn read(described: &Item<'_>) -> Option<(Id, TargetGroup)> {
    let name = described.text("TargetGroupName")?;
    let id = described.text("TargetGroupArn").map_or_else(|| name.value.clone(), |arn| arn.value);
    let health_check = HealthCheck {
        protocol: described.text("HealthCheckProtocol"),
        path: described.text("HealthCheckPath"),
        interval: described.seconds("HealthCheckIntervalSeconds"),
        timeout: described.seconds("HealthCheckTimeoutSeconds"),
        healthy_threshold: described.value("HealthyThresholdCount"),
        unhealthy_threshold: described.value("UnhealthyThresholdCount"),
        matcher: described
            .get("Matcher")
            .and_then(|matcher| matcher.text("HttpCode").or_else(|| matcher.text("GrpcCode"))),
    };
    Some((id, group(described, name, health_check)?))
}

/// A target group of a name with its health check.
pub(in crate::doctor::sources) fn group(
    described: &Item<'_>,
    name: Setting<String>,
    health_check: HealthCheck,
) -> Option<TargetGroup> {
    let protocol = described.text("Protocol");
    // Groups of lambda functions have no protocol.
    let kind = protocol.as_ref().map_or(LoadBalancerType::Application, |protocol| kind(&protocol.value));
    if protocol.as_ref().is_some_and(|protocol| protocol.value == "GENEVE") {
        return None;
    }
    Some(TargetGroup {
        name,
        protocol,
        port: described.value("Port"),
        protocol_version: described.text("ProtocolVersion"),
        target_type: described.text("TargetType"),
        attributes: Attributes::new(Resource::TargetGroup, kind),
        health_check,
        targets: None,
    })
}

/// How many targets are registered: those that are draining are no longer.
pub(super) fn registered(list: &Node) -> Setting<usize> {
    let state =
        |target: &Node| target.at(&["TargetHealth", "State"]).and_then(Node::text) == Some("draining");
    let count = list.items().iter().filter(|target| !state(target)).count();
    Setting::new(count, "TargetHealthDescriptions", &format!("{count} registered"), list.place.clone())
}

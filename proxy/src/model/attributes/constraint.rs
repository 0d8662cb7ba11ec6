//! Combinations of target group attributes that ELB refuses.
//!
//! ELB pages: "Edit target group attributes for your Application Load Balancer",
//! its Network Load Balancer twin, "Use Application Load Balancers as targets".

use super::AttributeValues;
use crate::model::{LoadBalancerType, TargetType, fault::Fault};

const STICKINESS_TYPE: &str = "stickiness.type";
const ALGORITHM: &str = "load_balancing.algorithm.type";
const ANOMALY_MITIGATION: &str = "load_balancing.algorithm.anomaly_mitigation";
const SLOW_START: &str = "slow_start.duration_seconds";
const CROSS_ZONE: &str = "load_balancing.cross_zone.enabled";
const ROUTING_COUNT: &str = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count";
const ROUTING_PERCENTAGE: &str =
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage";
const FAILOVER_COUNT: &str = "target_group_health.dns_failover.minimum_healthy_targets.count";
const FAILOVER_PERCENTAGE: &str = "target_group_health.dns_failover.minimum_healthy_targets.percentage";
const UNHEALTHY_TERMINATION: &str = "target_health_state.unhealthy.connection_termination.enabled";
const UNHEALTHY_DRAINING: &str = "target_health_state.unhealthy.draining_interval_seconds";

/// What the constraints need to know of a target group's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupProtocol {
    /// The protocol's name in the API, such as `HTTP`.
    pub name: &'static str,
    /// The type of load balancer that can use the group.
    pub kind: LoadBalancerType,
}

/// The combinations in `values` that ELB refuses: the attribute to blame, and why.
#[must_use]
pub fn target_group_constraints(
    values: &AttributeValues,
    protocol: GroupProtocol,
) -> Vec<(&'static str, String)> {
    if values.target_type() == TargetType::Alb {
        return fixed(values);
    }
    let mut broken = Vec::new();
    stickiness(values, protocol, &mut broken);
    match protocol.kind {
        LoadBalancerType::Application => algorithm(values, &mut broken),
        LoadBalancerType::Network => flows(values, &mut broken),
    }
    thresholds(values, &mut broken);
    faults(values, &mut broken);
    broken
}

fn stickiness(values: &AttributeValues, protocol: GroupProtocol, broken: &mut Vec<(&'static str, String)>) {
    let kind = values.text(STICKINESS_TYPE);
    let fits = match protocol.kind {
        LoadBalancerType::Application => kind != "source_ip",
        LoadBalancerType::Network => kind == "source_ip",
    };
    if !fits {
        let name = protocol.name;
        broken.push((
            STICKINESS_TYPE,
            format!("Stickiness type '{kind}' is not supported for target groups with the {name} protocol"),
        ));
    }
    if !values.flag("stickiness.enabled") {
        return;
    }
    if kind == "app_cookie" && values.text("stickiness.app_cookie.cookie_name").is_empty() {
        broken.push((
            STICKINESS_TYPE,
            "You must set an application cookie name to enable stickiness of type 'app_cookie'".to_owned(),
        ));
    }
    if values.text(CROSS_ZONE) == "false" {
        broken.push((
            CROSS_ZONE,
            "stickiness cannot be enabled while cross-zone load balancing of the target group is off"
                .to_owned(),
        ));
    }
    if values.text(ALGORITHM) == "weighted_random" {
        broken.push((
            ALGORITHM,
            "You cannot have both stickiness and weighted random algorithm enabled on the same target group"
                .to_owned(),
        ));
    }
}

fn algorithm(values: &AttributeValues, broken: &mut Vec<(&'static str, String)>) {
    let algorithm = values.text(ALGORITHM);
    if values.text(SLOW_START) != "0" && algorithm != "round_robin" {
        let algorithm = algorithm.replace('_', " ");
        broken.push((
            SLOW_START,
            format!("You cannot enable both slow start and {algorithm} algorithm on a target group"),
        ));
    }
    if values.text(ANOMALY_MITIGATION) == "on" && algorithm != "weighted_random" {
        broken.push((
            ANOMALY_MITIGATION,
            format!("anomaly mitigation is not supported with the algorithm '{algorithm}'"),
        ));
    }
}

fn flows(values: &AttributeValues, broken: &mut Vec<(&'static str, String)>) {
    if values.text(UNHEALTHY_DRAINING) != "0" && values.flag(UNHEALTHY_TERMINATION) {
        broken.push((UNHEALTHY_DRAINING, format!("needs '{UNHEALTHY_TERMINATION}' to be 'false'")));
    }
}

/// The attributes of groups with targets of type `alb` keep their defaults.
fn fixed(values: &AttributeValues) -> Vec<(&'static str, String)> {
    let changed = values.all_given().filter(|(key, value)| *value != values.default(key));
    let message = |key| {
        let default = values.default(key);
        format!("cannot be changed for targets of type alb: '{key}' always is '{default}'")
    };
    changed.map(|(key, _)| (key, message(key))).collect()
}

/// Faults that end a request share out all requests among them; the last one that is on is blamed.
fn faults(values: &AttributeValues, broken: &mut Vec<(&'static str, String)>) {
    let shares = [Fault::Abort, Fault::Reset, Fault::BlackHole].map(|fault| {
        let key = fault.key();
        (key, u32::from(values.percent(key)))
    });
    let total: u32 = shares.iter().map(|(_, percent)| percent).sum();
    let last = shares.iter().rfind(|(_, percent)| *percent > 0);
    if let Some((key, _)) = last.filter(|_| total > 100) {
        let message =
            format!("the shares of abort, reset and black_hole are {total} % together: at most 100 %");
        broken.push((key, message));
    }
}

/// A threshold set for leaving DNS must not be lower than the one for failing open.
fn thresholds(values: &AttributeValues, broken: &mut Vec<(&'static str, String)>) {
    for (failover, routing) in [(FAILOVER_COUNT, ROUTING_COUNT), (FAILOVER_PERCENTAGE, ROUTING_PERCENTAGE)] {
        let set = values.given(failover).and_then(|value| value.parse::<u32>().ok());
        if let (Some(set), Some(least)) = (set, values.number(routing))
            && set < least
        {
            broken.push((
                failover,
                format!("'{failover}' value '{set}' must be greater than or equal to '{least}', the value of '{routing}'"),
            ));
        }
    }
}

//! `DescribeLoadBalancers`.

use super::{item::Item, resources::Id};
use crate::{
    doctor::{attributes::Attributes, setting::Setting, system::LoadBalancer},
    model::{LoadBalancerType, attributes::Resource},
};

/// A load balancer with its ARN; `None` if it has no name, or is a Gateway Load Balancer.
pub(in crate::doctor::sources) fn read(described: &Item<'_>) -> Option<(Id, LoadBalancer)> {
    let name = described.text("LoadBalancerName")?;
    let kind = match described.text("Type").as_ref().map_or("application", |kind| kind.value.as_str()) {
        "application" => LoadBalancerType::Application,
        "network" => LoadBalancerType::Network,
        _ => return None,
    };
    let id = described.text("LoadBalancerArn").map_or_else(|| name.value.clone(), |arn| arn.value);
    Some((id, new(name, kind)))
}

/// A load balancer of which nothing else is known.
pub(in crate::doctor::sources) const fn new(name: Setting<String>, kind: LoadBalancerType) -> LoadBalancer {
    let attributes = Attributes::new(Resource::LoadBalancer, kind);
    LoadBalancer { name, kind, attributes, listeners: Vec::new() }
}

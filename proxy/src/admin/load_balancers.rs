//! `/load-balancers`: the members of `DescribeLoadBalancers` that have a meaning here. There are no zones,
//! networks or security groups, so those lists are empty.

use serde_json::{Value, json};

use super::{api_error::ApiError, control::InForce, query::Query};
use crate::model::{LoadBalancer, Model};

/// Parameters besides those of paging.
pub(super) const PARAMETERS: &[&str] = &["Names", "LoadBalancerArns"];

/// The load balancers by name or ARN, or all.
pub(super) fn list(in_force: &InForce, query: &Query) -> Result<Value, ApiError> {
    let (names, arns) = (query.all("Names"), query.all("LoadBalancerArns"));
    let model = &in_force.model;
    for arn in &arns {
        by_arn(model, arn)?;
    }
    if let Some(name) = names.iter().find(|name| !model.load_balancers.iter().any(|it| it.name == **name)) {
        return Err(not_found(name));
    }
    let all = names.is_empty() && arns.is_empty();
    let wanted = model
        .load_balancers
        .iter()
        .filter(|it| all || names.contains(&it.name.as_str()) || arns.contains(&it.arn.as_str()));
    query.page("LoadBalancers", wanted.map(describe))
}

/// The load balancer with this ARN.
pub(super) fn by_arn<'m>(model: &'m Model, arn: &str) -> Result<(usize, &'m LoadBalancer), ApiError> {
    let mut all = model.load_balancers.iter().enumerate();
    all.find(|(_, it)| it.arn == arn).ok_or_else(|| not_found(arn))
}

fn not_found(name: &str) -> ApiError {
    ApiError::new("LoadBalancerNotFound", format!("Load balancers '[{name}]' not found"))
}

fn describe(load_balancer: &LoadBalancer) -> Value {
    let has_ipv6 = load_balancer.listeners.iter().any(|listener| listener.bind.is_ipv6());
    json!({
        "LoadBalancerArn": load_balancer.arn,
        "LoadBalancerName": load_balancer.name,
        "DNSName": load_balancer.dns_name,
        "Scheme": "internet-facing",
        "State": { "Code": "active" },
        "Type": load_balancer.kind.as_str(),
        "IpAddressType": if has_ipv6 { "dualstack" } else { "ipv4" },
        "AvailabilityZones": [],
        "SecurityGroups": [],
    })
}

//! Task definitions and services of ECS.
//!
//! API pages: `DescribeTaskDefinition`, `DescribeServices`, and the input of
//! `RegisterTaskDefinition`. A service ties containers of its task definition
//! to target groups; containers that no client can reach are left out.

mod container;
mod tie;

#[cfg(test)]
mod tests;

use super::{
    Document, SourceError,
    aws::{
        item::Item,
        resources::{Id, Service, ServiceLoadBalancer, TaskDefinition},
    },
};
use crate::doctor::{
    document::{Node, Value},
    setting::Setting,
    system::System,
};

pub(super) use self::tie::tie;

/// Whose defaults hold.
pub(super) const ECS: &str = "Amazon ECS";

/// Reads `aws ecs describe-task-definition`, its input and `aws ecs describe-services`.
#[expect(clippy::unnecessary_wraps, reason = "one type for all sources")]
pub(super) fn read(document: &Document<'_>, system: &mut System) -> Result<bool, SourceError> {
    let mut known = false;
    for tree in &document.trees {
        let definition = tree.get("taskDefinition").unwrap_or(tree);
        if definition.get("containerDefinitions").is_some() {
            let described = Item::api(definition);
            let id = described.text("taskDefinitionArn").map(|arn| arn.value);
            system.resources.task_definitions.push(task_definition(
                &described,
                id,
                &described.all("containerDefinitions"),
            ));
            known = true;
        }
        // A compose file has a map of services.
        if let Some(Node { value: Value::List(_), .. }) = tree.get("services") {
            let services = Item::api(tree).all("services");
            known |= services.iter().any(|service| service.text("serviceName").is_some());
            system.resources.services.extend(services.iter().filter_map(service));
        }
    }
    Ok(known)
}

/// A task definition with its containers; `family` stands for an id that is missing.
pub(super) fn task_definition(
    described: &Item<'_>,
    id: Option<Id>,
    containers: &[Item<'_>],
) -> TaskDefinition {
    let family = described.text("family").map(|family| family.value).unwrap_or_default();
    let on_fargate =
        described.texts("requiresCompatibilities").iter().any(|launch_type| launch_type.value == "FARGATE");
    TaskDefinition {
        id: id.unwrap_or_else(|| family.clone()),
        family,
        containers: container::reachable(containers, on_fargate),
    }
}

/// A service; `None` if it has no name.
pub(super) fn service(described: &Item<'_>) -> Option<Service> {
    let name = described.text("serviceName").or_else(|| described.text("name"))?;
    let load_balancers: Vec<_> =
        described.all("loadBalancers").iter().filter_map(service_load_balancer).collect();
    let grace_period = "healthCheckGracePeriodSeconds";
    let health_check_grace_period = described.seconds(grace_period).or_else(|| {
        let key = described.key(grace_period);
        // What stands there and is no number is not known.
        (described.text(grace_period).is_none() && !load_balancers.is_empty())
            .then(|| Setting::default_of(ECS, std::time::Duration::ZERO, &key, "0"))
    });
    Some(Service {
        name,
        task_definition: described.text("taskDefinition").map(|id| id.value),
        desired_count: described.value("desiredCount"),
        health_check_grace_period,
        load_balancers,
    })
}

fn service_load_balancer(described: &Item<'_>) -> Option<ServiceLoadBalancer> {
    Some(ServiceLoadBalancer {
        target_group: described.text("targetGroupArn")?.value,
        container_name: described.text("containerName")?.value,
        container_port: described.value("containerPort"),
    })
}

//! Ties services to their task definitions and target groups.

use super::super::aws::{
    arn::target_group_name,
    resources::{Id, Resources, Service, ServiceLoadBalancer, TaskDefinition},
    tie::group_name,
};
use crate::doctor::{
    setting::Setting,
    system::{Application, System},
};

/// Moves containers into the system as applications: once for each service that runs them.
pub(in crate::doctor::sources) fn tie(resources: &mut Resources, system: &mut System) {
    let mut definitions = std::mem::take(&mut resources.task_definitions);
    let mut services = std::mem::take(&mut resources.services);
    latest(&mut definitions);
    real(&mut services, &mut definitions);
    let mut running = vec![false; definitions.len()];
    for service in &services {
        let at = definition_of(service, services.len(), &definitions);
        if let Some(runs) = at.and_then(|at| running.get_mut(at)) {
            *runs = true;
        }
        let containers = at.and_then(|at| definitions.get(at)).map_or(&[][..], |found| &found.containers);
        system.applications.extend(applications(service, containers, resources));
    }
    let idle = definitions.into_iter().zip(running).filter(|(_, running)| !running);
    system.applications.extend(idle.flat_map(|(definition, _)| definition.containers));
}

/// Keeps the last of those that were given more than once.
fn latest(definitions: &mut Vec<TaskDefinition>) {
    let mut seen = std::collections::HashSet::new();
    definitions.reverse();
    definitions.retain(|definition| seen.insert(definition.id.clone()));
    definitions.reverse();
}

/// Leaves out what Terraform describes where the account describes it, too.
fn real(services: &mut Vec<Service>, definitions: &mut Vec<TaskDefinition>) {
    let is_planned = |key: &str| key.contains("aws_ecs_");
    let known = services.iter().filter(|service| !is_planned(&service.name.key));
    let known: Vec<_> = known.map(|service| service.name.value.clone()).collect();
    services.retain(|service| !is_planned(&service.name.key) || !known.contains(&service.name.value));
    let real = definitions.iter().filter(|definition| !is_planned(&definition.id));
    let families: Vec<_> = real.map(|definition| definition.family.clone()).collect();
    definitions.retain(|definition| {
        let is_known = is_planned(&definition.id) && families.contains(&definition.family);
        if is_known {
            for service in
                services.iter_mut().filter(|it| it.task_definition.as_ref() == Some(&definition.id))
            {
                service.task_definition = Some(definition.family.clone());
            }
        }
        !is_known
    });
}

/// The task definition that a service runs: by its id, else by its family; if it does not say, the only one there is.
fn definition_of(service: &Service, services: usize, definitions: &[TaskDefinition]) -> Option<usize> {
    let Some(wanted) = &service.task_definition else {
        return (services == 1 && definitions.len() == 1).then_some(0);
    };
    let same = |definition: &TaskDefinition| definition.id == *wanted;
    let kin = |definition: &TaskDefinition| {
        family(&definition.id) == family(wanted) || definition.family == family(wanted)
    };
    definitions.iter().position(same).or_else(|| definitions.iter().rposition(kin))
}

/// The family in `arn:aws:ecs:REGION:ACCOUNT:task-definition/FAMILY:REVISION`, `FAMILY:REVISION` or `FAMILY`.
fn family(id: &Id) -> &str {
    let name = id.rsplit('/').next().unwrap_or(id);
    match name.rsplit_once(':') {
        Some((family, revision)) if revision.parse::<u32>().is_ok() => family,
        _ => name,
    }
}

/// The containers of a service that its load balancers send clients to; all of them if it names none.
fn applications(service: &Service, containers: &[Application], resources: &Resources) -> Vec<Application> {
    if service.load_balancers.is_empty() {
        return containers.iter().map(|container| run(service, container.clone(), None)).collect();
    }
    let mut applications: Vec<Application> = Vec::new();
    for entry in &service.load_balancers {
        let group = group_name(&entry.target_group, &resources.target_groups)
            .or_else(|| target_group_name(&entry.target_group).map(str::to_owned))
            .unwrap_or_else(|| entry.target_group.clone());
        if let Some(known) = applications.iter_mut().find(|known| known.name == entry.container_name) {
            known.target_groups.push(group);
            continue;
        }
        let described = containers.iter().find(|container| container.name == entry.container_name);
        let container = described
            .cloned()
            .unwrap_or_else(|| Application { name: entry.container_name.clone(), ..Application::default() });
        let mut application = run(service, container, Some(entry));
        application.target_groups.push(group);
        applications.push(application);
    }
    applications
}

/// A container as a service runs it.
fn run(service: &Service, mut container: Application, entry: Option<&ServiceLoadBalancer>) -> Application {
    container.instances = service.desired_count.clone();
    container.startup.health_check_grace_period = service.health_check_grace_period.clone();
    let port: Option<Setting<u16>> = entry.and_then(|entry| entry.container_port.clone());
    container.port = port.or(container.port);
    container
}

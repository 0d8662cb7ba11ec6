//! One application for each, when several files speak of it.
//!
//! A configuration (`application.yml`) and a deployment (a container of a task
//! definition, a service of a compose file) are two halves: the first has the
//! settings, the second the variables that count more, the time between
//! SIGTERM and SIGKILL and the target groups. What our own configuration
//! declares of targets counts more than both.

#[cfg(test)]
mod tests;

use super::{
    backend, node,
    properties::{Properties, Variable},
    python, runtime, spring,
};
use crate::doctor::{
    configuration::Holds,
    system::{Application, Runtime, System},
};

/// Ties halves together and understands them.
pub(super) fn resolve(system: &mut System, variable: Variable<'_>) {
    let applications = std::mem::take(&mut system.applications);
    let (declared, applications): (Vec<_>, Vec<_>) =
        applications.into_iter().partition(|it| it.is_declaration);
    let (configured, mut deployed): (Vec<_>, Vec<_>) =
        applications.into_iter().partition(|it| it.configuration.is_some());
    let mut alone = Vec::new();
    for half in configured {
        let chosen = halves(&half, &deployed, variable);
        for (_, deployment) in deployed.iter_mut().enumerate().filter(|(index, _)| chosen.contains(index)) {
            tie(deployment, half.clone());
        }
        if chosen.is_empty() {
            alone.push(half);
        }
    }
    alone.extend(deployed);
    for declaration in declared {
        declare(&mut alone, declaration);
    }
    for application in &mut alone {
        understand(application, variable);
    }
    system.applications = alone;
}

/// The deployments that a configuration is the other half of: that of its name; else those on its port; else those
/// that are built on the same; else those that serve anything; else the only one.
fn halves(half: &Application, deployed: &[Application], variable: Variable<'_>) -> Vec<usize> {
    let may_be = |other: &Application| {
        let is_tied_elsewhere = !half.target_groups.is_empty()
            && !other.target_groups.is_empty()
            && !half.target_groups.iter().any(|group| other.target_groups.contains(group));
        // Our backend reads Spring's files, too.
        let fits = match runtime::told(other) {
            Some(Runtime::AlbeitBackend) => true,
            Some(told) => told == half.runtime,
            None => half.runtime == Runtime::Spring,
        };
        fits && !is_tied_elsewhere
    };
    let candidates: Vec<_> = deployed.iter().enumerate().filter(|(_, other)| may_be(other)).collect();
    let properties = Properties::of(half, variable);
    let name =
        properties.text("spring.application.name").map_or_else(|| half.name.clone(), |name| name.value);
    let port = properties.understood(&["server.port"], |text| text.parse::<u16>().ok(), None);
    let port = port.map(|port| port.value);
    let is_named = |other: &Application| other.name.eq_ignore_ascii_case(&name);
    let on_port = |other: &Application| other.port.as_ref().is_some_and(|it| Some(it.value) == port);
    let is_alike = |other: &Application| {
        runtime::told(other) == Some(half.runtime)
            || (half.runtime == Runtime::Spring && runtime::is_jvm(other))
    };
    let serves = |other: &Application| other.port.is_some();
    let ways: [&dyn Fn(&Application) -> bool; 4] = [&is_named, &on_port, &is_alike, &serves];
    for way in ways {
        let found: Vec<_> =
            candidates.iter().filter(|(_, other)| way(other)).map(|(index, _)| *index).collect();
        if !found.is_empty() {
            return found;
        }
    }
    match candidates.as_slice() {
        [(only, _)] => vec![*only],
        _ => Vec::new(),
    }
}

/// Adds the configuration and the target groups of one half to another.
pub(super) fn tie(application: &mut Application, half: Application) {
    if runtime::told(application) != Some(Runtime::AlbeitBackend) {
        application.runtime = half.runtime;
    }
    for group in half.target_groups {
        if !application.target_groups.contains(&group) {
            application.target_groups.push(group);
        }
    }
    match (&mut application.configuration, half.configuration) {
        (Some(known), Some(more)) => {
            known.documents.extend(more.documents);
            // Files of a profile count more than others.
            known.documents.sort_by_key(|document| matches!(document.holds, Holds::WithProfile(_)));
        }
        (known @ None, more) => *known = more,
        (Some(_), None) => {}
    }
}

/// Lays what is declared of a group's targets over the applications of the group; else over the only one that is tied
/// to no group. If there is neither, nothing more is known of the targets.
fn declare(applications: &mut Vec<Application>, declaration: Application) {
    let is_of_group =
        |it: &Application| declaration.target_groups.iter().any(|group| it.target_groups.contains(group));
    let count = |way: &dyn Fn(&Application) -> bool| applications.iter().filter(|it| way(it)).count();
    let is_free = |it: &Application| it.target_groups.is_empty();
    let way: &dyn Fn(&Application) -> bool = match (count(&is_of_group), count(&is_free)) {
        (0, 1) => &is_free,
        (0, _) => {
            applications.push(declaration);
            return;
        }
        _ => &is_of_group,
    };
    for application in applications.iter_mut().filter(|it| way(it)) {
        lay_over(application, &declaration);
    }
}

fn lay_over(application: &mut Application, declaration: &Application) {
    fn lay<T: Clone>(field: &mut Option<T>, declared: &Option<T>) {
        if declared.is_some() {
            field.clone_from(declared);
        }
    }
    lay(&mut application.keep_alive_timeout, &declaration.keep_alive_timeout);
    lay(&mut application.max_request_header_size, &declaration.max_request_header_size);
    lay(&mut application.max_connections, &declaration.max_connections);
    lay(&mut application.longest_request, &declaration.longest_request);
    lay(&mut application.shutdown.grace, &declaration.shutdown.grace);
    lay(&mut application.shutdown.stop_timeout, &declaration.shutdown.stop_timeout);
    lay(&mut application.tcp_keepalive, &declaration.tcp_keepalive);
    lay(&mut application.proxy_protocol, &declaration.proxy_protocol);
    application.heartbeats.extend(declaration.heartbeats.iter().cloned());
    application.hops.extend(declaration.hops.iter().cloned());
    for group in &declaration.target_groups {
        if !application.target_groups.contains(group) {
            application.target_groups.push(group.clone());
        }
    }
}

fn understand(application: &mut Application, variable: Variable<'_>) {
    match runtime::told(application) {
        Some(Runtime::Spring) => spring::interpret(application, variable),
        Some(Runtime::AlbeitBackend) => backend::interpret(application, variable),
        Some(Runtime::Node) => node::interpret(application),
        Some(Runtime::Unknown) | None => python::interpret(application),
    }
}

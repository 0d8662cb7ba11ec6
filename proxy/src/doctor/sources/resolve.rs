//! One application for each, when several files speak of it.
//!
//! A configuration (`application.yml`) and a deployment (a container of a task
//! definition, a service of a compose file) are two halves: the first has the
//! settings, the second the variables that count more, the time between
//! SIGTERM and SIGKILL and the target groups.

use super::{
    properties::{Properties, Variable},
    runtime, spring,
};
use crate::doctor::{
    configuration::Configuration,
    system::{Application, Runtime, System},
};

/// Ties halves together and understands them.
pub(super) fn resolve(system: &mut System, variable: Variable<'_>) {
    let applications = std::mem::take(&mut system.applications);
    let (configured, mut deployed): (Vec<_>, Vec<_>) =
        applications.into_iter().partition(|application| application.configuration.is_some());
    let mut alone = Vec::new();
    for half in configured {
        let chosen = halves(&half, &deployed, variable);
        for (_, deployment) in deployed.iter_mut().enumerate().filter(|(index, _)| chosen.contains(index)) {
            tie(deployment, &half);
        }
        if chosen.is_empty() {
            alone.push(half);
        }
    }
    let mut applications = alone;
    applications.extend(deployed);
    for application in &mut applications {
        understand(application, variable);
    }
    system.applications = applications;
}

/// The deployments that a configuration is the other half of.
fn halves(half: &Application, deployed: &[Application], variable: Variable<'_>) -> Vec<usize> {
    let may_be = |other: &Application| {
        let is_tied_elsewhere = !half.target_groups.is_empty()
            && !other.target_groups.is_empty()
            && !half.target_groups.iter().any(|group| other.target_groups.contains(group));
        let fits = match runtime::told(other) {
            Some(told) => told == half.runtime,
            None => half.runtime == Runtime::Spring,
        };
        other.configuration.is_none() && fits && !is_tied_elsewhere
    };
    let candidates: Vec<_> = deployed.iter().enumerate().filter(|(_, other)| may_be(other)).collect();
    let properties = Properties::of(half, variable);
    let name =
        properties.text("spring.application.name").map_or_else(|| half.name.clone(), |name| name.value);
    let port = properties.understood(&["server.port"], |text| text.parse::<u16>().ok(), None);
    let port = port.map(|port| port.value);
    let is_named = |other: &Application| other.name.eq_ignore_ascii_case(&name);
    let on_port =
        |other: &Application| other.port.as_ref().map(|it| it.value).is_some_and(|it| Some(it) == port);
    let is_alike = |other: &Application| runtime::told(other) == Some(half.runtime) || runtime::is_jvm(other);
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

/// Adds a configuration to a deployment.
fn tie(deployment: &mut Application, half: &Application) {
    deployment.runtime = half.runtime;
    for group in &half.target_groups {
        if !deployment.target_groups.contains(group) {
            deployment.target_groups.push(group.clone());
        }
    }
    if let Some(Configuration { family, documents }) = &half.configuration {
        match &mut deployment.configuration {
            Some(known) => known.documents.extend(documents.iter().cloned()),
            None => {
                let (family, documents) = (family.clone(), documents.clone());
                deployment.configuration = Some(Configuration { family, documents });
            }
        }
    }
}

fn understand(application: &mut Application, variable: Variable<'_>) {
    if runtime::told(application) == Some(Runtime::Spring) {
        spring::interpret(application, variable);
    }
}

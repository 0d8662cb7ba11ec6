//! Ties resources to each other when all files are read.

use std::collections::HashSet;

use super::{
    super::ecs,
    arn::{load_balancer_name, target_group_name},
    load_balancer,
    owner::{Candidate, find},
    resources::{AttributesOf, Id, ListenerOf, Owner, Resources, RuleOf, TargetsOf},
};
use crate::{
    doctor::{
        attributes::Attributes,
        setting::{Place, Setting},
        system::{Action, LoadBalancer, Note, System, TargetGroup},
    },
    model::attributes::Resource,
};

/// Moves all resources into the system, tied to each other.
pub(in crate::doctor::sources) fn tie(system: &mut System) {
    let mut resources = std::mem::take(&mut system.resources);
    let mut noted = std::mem::take(&mut system.notes);
    let notes = &mut noted;
    // What was described more than once is there once: as it was described last.
    keep_last(&mut resources.load_balancers, |(id, _)| id.clone());
    keep_last(&mut resources.target_groups, |(id, _)| id.clone());
    keep_last(&mut resources.listeners, |listener| listener.id.clone());
    for given in std::mem::take(&mut resources.attributes) {
        attributes(&mut resources, given, notes);
    }
    for registered in std::mem::take(&mut resources.targets) {
        targets(&mut resources, registered, notes);
    }
    for outside in std::mem::take(&mut resources.rules) {
        rule(&mut resources.listeners, outside, notes);
    }
    note_defaults(&resources, notes);
    for listener in std::mem::take(&mut resources.listeners) {
        add_listener(&mut resources.load_balancers, listener, notes);
    }
    for (_, balancer) in &mut resources.load_balancers {
        name_groups(balancer, &resources.target_groups, notes);
    }
    system.notes = noted;
    ecs::tie(&mut resources, system);
    system.load_balancers.extend(resources.load_balancers.into_iter().map(|(_, balancer)| balancer));
    system.target_groups.extend(resources.target_groups.into_iter().map(|(_, group)| group));
}

fn keep_last<T>(items: &mut Vec<T>, id: impl Fn(&T) -> Id) {
    let mut seen = HashSet::new();
    items.reverse();
    items.retain(|item| seen.insert(id(item)));
    items.reverse();
}

/// Gives attributes to their resource.
fn attributes(resources: &mut Resources, attributes: AttributesOf, notes: &mut Vec<Note>) {
    let AttributesOf { of, owner, place, given } = attributes;
    let found: Option<&mut Attributes> = match of {
        Resource::LoadBalancer => {
            let all = &mut resources.load_balancers;
            find(&owner, &balancers(all))
                .and_then(|at| all.get_mut(at))
                .map(|(_, found)| &mut found.attributes)
        }
        Resource::TargetGroup => {
            let all = &mut resources.target_groups;
            find(&owner, &groups(all)).and_then(|at| all.get_mut(at)).map(|(_, found)| &mut found.attributes)
        }
        Resource::Listener => {
            let all = &mut resources.listeners;
            find(&owner, &listeners(all))
                .and_then(|at| all.get_mut(at))
                .map(|found| &mut found.listener.attributes)
        }
    };
    let Some(found) = found else {
        return notes.push(untied("attributes", of, &owner, place));
    };
    for (key, setting) in given {
        found.give(&key, setting);
    }
}

/// Tells a target group how many targets it has.
fn targets(resources: &mut Resources, targets: TargetsOf, notes: &mut Vec<Note>) {
    let TargetsOf { owner, count } = targets;
    let all = &mut resources.target_groups;
    match find(&owner, &groups(all)).and_then(|at| all.get_mut(at)) {
        Some((_, group)) => group.targets = Some(count),
        None => notes.push(untied("targets", Resource::TargetGroup, &owner, count.place)),
    }
}

fn balancers(all: &[(Id, LoadBalancer)]) -> Vec<Candidate<'_>> {
    all.iter()
        .map(|(id, balancer)| Candidate { id, name: &balancer.name.value, place: &balancer.name.place })
        .collect()
}

fn groups(all: &[(Id, TargetGroup)]) -> Vec<Candidate<'_>> {
    all.iter()
        .map(|(id, group)| Candidate { id, name: &group.name.value, place: &group.name.place })
        .collect()
}

fn listeners(all: &[ListenerOf]) -> Vec<Candidate<'_>> {
    all.iter().map(|of| Candidate { id: &of.id, name: &of.id, place: &of.listener.protocol.place }).collect()
}

/// What belongs to a resource that is not there, or to one of several.
fn untied(what: &str, of: Resource, owner: &Owner, place: Place) -> Note {
    let (kind, member) = match of {
        Resource::LoadBalancer => ("load balancer", "LoadBalancerArn"),
        Resource::TargetGroup => ("target group", "TargetGroupArn"),
        Resource::Listener => ("listener", "ListenerArn"),
    };
    let message = match owner {
        Owner::Named(arn) => format!("{what} of a {kind} that nothing describes: {arn}"),
        Owner::File { .. } => format!(
            "{what} of an unknown {kind}: add a member {member}, name the file after it, or use scripts/elbv2-dump"
        ),
    };
    Note { place, message }
}

/// Says where ELB's defaults are taken because nothing else is known.
fn note_defaults(resources: &Resources, notes: &mut Vec<Note>) {
    let mut note = |name: &Setting<String>, attributes: &Attributes, kind: &str, call: &str| {
        // Terraform says everything that differs from the defaults; an answer without attributes does not.
        if name.key.ends_with("Name") && attributes.all_given().next().is_none() {
            notes.push(Note {
                place: name.place.clone(),
                message: format!(
                    "ELB's defaults are assumed for {kind} {}: no answer of {call} tells its attributes",
                    name.value
                ),
            });
        }
    };
    for (_, balancer) in &resources.load_balancers {
        note(&balancer.name, &balancer.attributes, "load balancer", "describe-load-balancer-attributes");
    }
    for (_, group) in &resources.target_groups {
        note(&group.name, &group.attributes, "target group", "describe-target-group-attributes");
    }
}

/// Puts a rule into its listener, by priority; its default rule takes the place of the one there.
fn rule(listeners: &mut [ListenerOf], outside: RuleOf, notes: &mut Vec<Note>) {
    let RuleOf { listener, rule } = outside;
    let Some(of) = listeners.iter_mut().find(|known| known.id == listener) else {
        let message = format!("a rule of a listener that nothing describes: {listener}");
        return notes.push(Note { place: rule.priority.place, message });
    };
    let rules = &mut of.listener.rules;
    // A default rule stands in its listener, too; and what is described twice is there once.
    rules.retain(|known| *known != rule && (rule.priority.value.is_some() || known.priority.value.is_some()));
    rules.push(rule);
    rules.sort_by_key(|rule| rule.priority.value.unwrap_or(u32::MAX));
}

/// Puts a listener into its load balancer; one that nothing describes is what its ARN tells.
fn add_listener(balancers: &mut Vec<(Id, LoadBalancer)>, of: ListenerOf, notes: &mut Vec<Note>) {
    let ListenerOf { load_balancer: Setting { value: id, key, written, place }, listener, .. } = of;
    if let Some((_, balancer)) = balancers.iter_mut().find(|(known, _)| *known == id) {
        return balancer.listeners.push(listener);
    }
    let message = if let Some((kind, name)) = load_balancer_name(&id) {
        let name = name.to_owned();
        let message = format!("ELB's defaults are assumed for load balancer {name}: nothing describes it");
        let name = Setting { value: name, key, written, place: place.clone() };
        let mut balancer = load_balancer::new(name, kind);
        balancer.listeners.push(listener);
        balancers.push((id, balancer));
        message
    } else {
        format!("a listener of a load balancer that nothing describes: {id}")
    };
    notes.push(Note { place, message });
}

/// Calls the target groups of actions by name.
fn name_groups(balancer: &mut LoadBalancer, groups: &[(Id, TargetGroup)], notes: &mut Vec<Note>) {
    let rules = balancer.listeners.iter_mut().flat_map(|listener| &mut listener.rules);
    for action in rules.flat_map(|rule| &mut rule.actions) {
        let Action::Forward { target_groups, .. } = action else { continue };
        for named in target_groups.iter_mut().map(|group| &mut group.target_group) {
            if let Some(name) = group_name(&named.value, groups) {
                named.value = name;
            } else {
                let name = target_group_name(&named.value).unwrap_or(&named.value).to_owned();
                let message = format!("a rule forwards to target group {name}, which nothing describes");
                notes.push(Note { place: named.place.clone(), message });
                named.value = name;
            }
        }
    }
}

/// The name of the target group of an id.
pub(in crate::doctor::sources) fn group_name(id: &str, groups: &[(Id, TargetGroup)]) -> Option<String> {
    groups.iter().find(|(known, _)| known == id).map(|(_, group)| group.name.value.clone())
}

//! One load balancer and one target group for each name, where several sources
//! describe it.
//!
//! What an account says (`aws elbv2 describe-*`) counts more than our own
//! configuration, and that more than Terraform, which says what will be. The
//! others fill in what is missing, and a note tells where they differ. Two
//! things of one name in sources of one kind are two things.

#[cfg(test)]
mod tests;

use super::fill;
use crate::doctor::{
    attributes::Attributes,
    document::hcl::UNKNOWN,
    setting::Setting,
    system::{HealthCheck, Listener, LoadBalancer, Note, System, TargetGroup},
};

/// Merges what has one name.
pub(super) fn merge(system: &mut System) {
    let System { load_balancers, target_groups, notes, .. } = system;
    once(load_balancers, |it| &it.name, |known, other| load_balancer(known, other, notes));
    once(target_groups, |it| &it.name, |known, other| target_group(known, other, notes));
}

/// Where a thing is described; the first counts most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Account,
    Albeit,
    Terraform,
}

/// By the name of the setting that holds a thing's name.
fn origin(name: &Setting<String>) -> Origin {
    if name.key.ends_with("Name") || name.key.ends_with("Arn") {
        Origin::Account
    } else if name.key.contains("aws_") {
        Origin::Terraform
    } else {
        Origin::Albeit
    }
}

fn once<T>(items: &mut Vec<T>, name: impl Fn(&T) -> &Setting<String>, mut merge: impl FnMut(&mut T, T)) {
    let mut all = std::mem::take(items);
    all.sort_by_key(|item| origin(name(item)));
    for item in all {
        let is_same = |known: &&mut T| {
            let (known, name) = (name(known), name(&item));
            known.value == name.value && origin(known) != origin(name)
        };
        match items.iter_mut().find(is_same) {
            Some(known) => merge(known, item),
            None => items.push(item),
        }
    }
}

fn load_balancer(known: &mut LoadBalancer, other: LoadBalancer, notes: &mut Vec<Note>) {
    attributes_of(&known.name, &mut known.attributes, &other.attributes, notes);
    if known.listeners.is_empty() {
        known.listeners = other.listeners;
        return;
    }
    let port = |listener: &Listener| listener.port.as_ref().map(|port| port.value);
    for listener in other.listeners {
        let Some(same) = known.listeners.iter_mut().find(|it| port(it) == port(&listener)) else { continue };
        attributes(&mut same.attributes, &listener.attributes, notes);
        setting(&mut same.ssl_policy, listener.ssl_policy, notes);
    }
}

fn target_group(known: &mut TargetGroup, other: TargetGroup, notes: &mut Vec<Note>) {
    attributes_of(&known.name, &mut known.attributes, &other.attributes, notes);
    fill(&mut known.protocol, other.protocol);
    fill(&mut known.port, other.port);
    fill(&mut known.protocol_version, other.protocol_version);
    fill(&mut known.target_type, other.target_type);
    fill(&mut known.targets, other.targets);
    let HealthCheck { protocol, path, interval, timeout, healthy_threshold, unhealthy_threshold, matcher } =
        other.health_check;
    let check = &mut known.health_check;
    setting(&mut check.protocol, protocol, notes);
    setting(&mut check.path, path, notes);
    setting(&mut check.interval, interval, notes);
    setting(&mut check.timeout, timeout, notes);
    setting(&mut check.healthy_threshold, healthy_threshold, notes);
    setting(&mut check.unhealthy_threshold, unhealthy_threshold, notes);
    setting(&mut check.matcher, matcher, notes);
}

/// Merges attributes of a resource whose own may have been missing altogether, which was noted at its name.
fn attributes_of(name: &Setting<String>, known: &mut Attributes, other: &Attributes, notes: &mut Vec<Note>) {
    if known.all_given().next().is_none() && other.all_given().next().is_some() {
        notes.retain(|note| note.place != name.place);
    }
    attributes(known, other, notes);
}

fn attributes(known: &mut Attributes, other: &Attributes, notes: &mut Vec<Note>) {
    for (key, given) in other.all_given() {
        match known.given(key) {
            Some(counts) => differ(counts, given, notes),
            None => known.give(key, given.clone()),
        }
    }
}

fn setting<T: PartialEq>(known: &mut Option<Setting<T>>, other: Option<Setting<T>>, notes: &mut Vec<Note>) {
    if let (Some(known), Some(other)) = (&known, &other) {
        differ(known, other, notes);
    }
    fill(known, other);
}

/// Tells of a value that somebody wrote down and that does not count.
fn differ<T: PartialEq>(counts: &Setting<T>, other: &Setting<T>, notes: &mut Vec<Note>) {
    if counts.value == other.value || !other.place.is_file() || other.written.contains(UNKNOWN) {
        return;
    }
    let Setting { key, written, place, .. } = counts;
    notes.push(Note {
        place: other.place.clone(),
        message: format!(
            "{} is {}, but {key} is {written} ({place}), which is what counts here",
            other.key, other.written
        ),
    });
}

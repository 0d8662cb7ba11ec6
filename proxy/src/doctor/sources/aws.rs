//! What `aws elbv2 describe-*` writes, and the same resources in other words.
//!
//! API pages: `DescribeLoadBalancers`, `DescribeListeners`, `DescribeRules`,
//! `DescribeTargetGroups`, `DescribeTargetHealth` and the calls for attributes
//! of each. One file for each call, all calls in one file back to back, or one
//! object with the members of several calls: all are read.
//!
//! The answers about attributes and target health do not name their resource.
//! A member `LoadBalancerArn`, `TargetGroupArn` or `ListenerArn` beside them
//! does (`scripts/elbv2-dump` writes it); else the file does, by its name or
//! by describing just one resource of the kind. What cannot be tied is noted.

pub(super) mod action;
pub(super) mod arn;
pub(super) mod condition;
pub(super) mod item;
pub(super) mod listener;
pub(super) mod load_balancer;
mod owner;
pub mod resources;
pub(super) mod target_group;
pub(super) mod tie;

#[cfg(test)]
pub(super) mod tests;

use self::{
    item::Item,
    resources::{AttributesOf, Owner, Resources, TargetsOf},
};
use super::{super::system::System, Document, SourceError};
use crate::{
    doctor::{document::Node, setting::Setting},
    model::attributes::{Resource, of},
};

/// Members of an answer that make a document one of this source.
const MEMBERS: [&str; 5] =
    ["LoadBalancers", "Listeners", "Rules", "TargetGroups", "TargetHealthDescriptions"];

/// Reads the answers of `aws elbv2 describe-*`.
#[expect(clippy::unnecessary_wraps, reason = "one type for all sources")]
pub(super) fn read(document: &Document<'_>, system: &mut System) -> Result<bool, SourceError> {
    let mut known = false;
    for tree in &document.trees {
        known |= answer(document, tree, &mut system.resources);
    }
    Ok(known)
}

/// One answer, or several in one object: says whether it is any.
fn answer(document: &Document<'_>, tree: &Node, resources: &mut Resources) -> bool {
    let attributes = tree.get("Attributes").filter(|list| is_attributes(list));
    if attributes.is_none() && !MEMBERS.iter().any(|member| tree.get(member).is_some()) {
        return false;
    }
    let answer = Item::api(tree);
    for described in answer.all("LoadBalancers") {
        resources.load_balancers.extend(load_balancer::read(&described));
    }
    for described in answer.all("Listeners") {
        resources.listeners.extend(listener::read(&described));
    }
    for described in answer.all("Rules") {
        resources.rules.extend(listener::rule(&described));
    }
    for described in answer.all("TargetGroups") {
        resources.target_groups.extend(target_group::read(&described));
    }
    if let Some(list) = attributes {
        let of = resource_of(tree, list);
        resources.attributes.push(AttributesOf {
            of,
            owner: owner(document, tree, of),
            place: list.place.clone(),
            given: list.items().iter().filter_map(attribute).collect(),
        });
    }
    if let Some(list) = tree.get("TargetHealthDescriptions") {
        let owner = owner(document, tree, Resource::TargetGroup);
        resources.targets.push(TargetsOf { owner, count: target_group::registered(list) });
    }
    true
}

/// Whether a list is one of attributes: other things of AWS have an `Attributes`, too.
fn is_attributes(list: &Node) -> bool {
    list.items().iter().all(|item| item.get("Key").and_then(Node::text).is_some()) && !list.items().is_empty()
}

/// One attribute: its key, and its value called so.
fn attribute(item: &Node) -> Option<(String, Setting<String>)> {
    let key = item.get("Key")?.text()?;
    Some((key.to_owned(), item.get("Value")?.setting(key)?))
}

/// The kind of resource that attributes belong to: by the ARN beside them, else by their keys.
fn resource_of(tree: &Node, list: &Node) -> Resource {
    const KINDS: [Resource; 3] = [Resource::LoadBalancer, Resource::TargetGroup, Resource::Listener];
    let named = KINDS.into_iter().find(|kind| tree.get(arn_member(*kind)).is_some());
    named.unwrap_or_else(|| {
        let keys: Vec<_> = list.items().iter().filter_map(|item| item.get("Key")?.text()).collect();
        let known = |kind: Resource| keys.iter().filter(|key| of(kind).any(|row| row.key == **key)).count();
        let [load_balancer, target_group, listener] = KINDS.map(known);
        if target_group > load_balancer.max(listener) {
            Resource::TargetGroup
        } else if listener > load_balancer {
            Resource::Listener
        } else {
            Resource::LoadBalancer
        }
    })
}

/// The member that names a resource of the kind.
const fn arn_member(kind: Resource) -> &'static str {
    match kind {
        Resource::LoadBalancer => "LoadBalancerArn",
        Resource::TargetGroup => "TargetGroupArn",
        Resource::Listener => "ListenerArn",
    }
}

/// Whose an answer is that does not say so by itself.
fn owner(document: &Document<'_>, tree: &Node, kind: Resource) -> Owner {
    match tree.get(arn_member(kind)).and_then(Node::text) {
        Some(arn) => Owner::Named(arn.to_owned()),
        None => Owner::File { file: document.file.clone(), place: tree.place.clone() },
    }
}

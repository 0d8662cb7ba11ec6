//! Resources of the provider: which of ELB's each one is.

use super::{
    super::aws::{
        action, condition,
        item::Item,
        listener, load_balancer,
        resources::{ListenerOf, Owner, Resources, RuleOf, TargetsOf},
        target_group,
    },
    PROVIDER, attributes, ecs, health_check, reference,
};
use crate::{
    doctor::{
        document::{Node, hcl::UNKNOWN},
        setting::Setting,
        system::{Action, Note, Rule, System},
    },
    model::LoadBalancerType,
};

/// The priority that stands for one that the provider chooses: behind all others.
const LAST: u32 = 50_000;

/// A resource with its arguments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resource<'a> {
    /// Its type, such as `aws_lb`.
    pub(super) kind: &'a str,
    /// Its address, such as `aws_lb.web`.
    pub(super) address: &'a str,
    /// What others of its module call it, with the module before it.
    pub(super) id: &'a str,
    /// What stands before addresses of its module in ids.
    pub(super) module: &'a str,
    /// Its arguments, and its attributes in a state.
    pub(super) values: &'a Node,
}

impl<'a> Resource<'a> {
    pub(super) fn item(&self) -> Item<'a> {
        Item::terraform(self.values, self.address)
    }

    /// What others call it: its ARN if it has one.
    pub(super) fn id(&self) -> String {
        let arn = self.values.get("arn").and_then(Node::text).filter(|arn| !arn.contains(UNKNOWN));
        arn.unwrap_or(self.id).to_owned()
    }

    /// An argument that refers to another resource.
    pub(super) fn reference(&self, setting: Setting<String>) -> Setting<String> {
        setting.map(|text| reference::id(self.module, &text))
    }

    /// Its name; its address where nobody gave it one, or only Terraform knows it.
    fn name(&self) -> Setting<String> {
        let item = self.item();
        let given = item.text("name").filter(|name| !name.value.is_empty() && !name.value.contains(UNKNOWN));
        given.unwrap_or_else(|| {
            Setting::new(self.address.to_owned(), &item.key("name"), self.address, self.values.place.clone())
        })
    }
}

/// Adds a resource, if it is of a type that is known: says whether it is.
pub(super) fn add(resource: &Resource<'_>, system: &mut System) -> bool {
    let System { resources, notes, .. } = system;
    match resource.kind {
        "aws_lb" | "aws_alb" => add_load_balancer(resource, resources, notes),
        "aws_lb_listener" | "aws_alb_listener" => add_listener(resource, resources, notes),
        "aws_lb_listener_rule" | "aws_alb_listener_rule" => add_rule(resource, resources),
        "aws_lb_target_group" | "aws_alb_target_group" => add_target_group(resource, resources),
        "aws_lb_target_group_attachment" | "aws_alb_target_group_attachment" => {
            add_attachment(resource, resources);
        }
        "aws_ecs_task_definition" => ecs::add_task_definition(resource, resources, notes),
        "aws_ecs_service" => ecs::add_service(resource, resources),
        _ => return false,
    }
    if let Some(dynamic) = resource.values.get("dynamic") {
        let blocks: Vec<_> = dynamic.entries().map(|(name, _)| name).collect();
        notes.push(Note {
            place: dynamic.place.clone(),
            message: format!(
                "only Terraform knows the dynamic blocks of {}: {}",
                resource.address,
                blocks.join(", ")
            ),
        });
    }
    true
}

fn add_load_balancer(resource: &Resource<'_>, resources: &mut Resources, notes: &mut Vec<Note>) {
    let item = resource.item();
    let kind =
        match item.text("load_balancer_type").as_ref().map_or("application", |kind| kind.value.as_str()) {
            "application" => LoadBalancerType::Application,
            "network" => LoadBalancerType::Network,
            "gateway" => return,
            unknown => {
                return notes.push(Note {
                    place: resource.values.place.clone(),
                    message: format!("only Terraform knows the type of {}: {unknown}", resource.address),
                });
            }
        };
    let mut balancer = load_balancer::new(resource.name(), kind);
    attributes::give(&item, &mut balancer.attributes);
    resources.load_balancers.push((resource.id(), balancer));
}

fn add_listener(resource: &Resource<'_>, resources: &mut Resources, notes: &mut Vec<Note>) {
    let item = resource.item();
    let protocol = item.text("Protocol").unwrap_or_else(|| {
        let mut default = Setting::default_of(PROVIDER, "HTTP".to_owned(), &item.key("Protocol"), "HTTP");
        default.place = resource.values.place.clone();
        default
    });
    let Some(load_balancer) = item.text("LoadBalancerArn") else {
        return notes.push(Note {
            place: resource.values.place.clone(),
            message: format!("only Terraform knows the load balancer of {}", resource.address),
        });
    };
    let mut listener = listener::listener(&item, protocol);
    attributes::give(&item, &mut listener.attributes);
    for rule in &mut listener.rules {
        refer(resource, rule);
    }
    let load_balancer = resource.reference(load_balancer);
    resources.listeners.push(ListenerOf { id: resource.id(), load_balancer, listener });
}

fn add_rule(resource: &Resource<'_>, resources: &mut Resources) {
    let item = resource.item();
    let Some(listener) = item.text("ListenerArn") else { return };
    let place = resource.values.place.clone();
    let priority = item.text("Priority").map_or_else(
        || Setting::new(Some(LAST), &item.key("Priority"), "unknown", place),
        |written| written.map(|text| Some(text.parse().unwrap_or(LAST))),
    );
    let mut rule = Rule {
        priority,
        conditions: item.all("Conditions").iter().flat_map(condition::read).collect(),
        actions: action::read(&item.all("Actions")),
    };
    refer(resource, &mut rule);
    resources.rules.push(RuleOf { listener: resource.reference(listener).value, rule });
}

/// Calls target groups by their ids.
fn refer(resource: &Resource<'_>, rule: &mut Rule) {
    for action in &mut rule.actions {
        let Action::Forward { target_groups, .. } = action else { continue };
        for group in target_groups {
            group.target_group = resource.reference(group.target_group.clone());
        }
    }
}

fn add_target_group(resource: &Resource<'_>, resources: &mut Resources) {
    let item = resource.item();
    let Some(mut group) = target_group::group(&item, resource.name(), <_>::default()) else { return };
    group.health_check = health_check::read(&item, group.attributes.kind());
    if group.target_type.is_none() {
        let key = item.key("TargetType");
        group.target_type = Some(Setting::default_of(PROVIDER, "instance".to_owned(), &key, "instance"));
    }
    attributes::give(&item, &mut group.attributes);
    resources.target_groups.push((resource.id(), group));
}

/// One more target; how many there are of a resource that is repeated, Terraform alone knows.
fn add_attachment(resource: &Resource<'_>, resources: &mut Resources) {
    let repeated = ["count", "for_each"].iter().any(|argument| resource.values.get(argument).is_some());
    let Some(group) = resource.item().text("TargetGroupArn").filter(|_| !repeated) else { return };
    let owner = Owner::Named(resource.reference(group).value);
    if let Some(known) = resources.targets.iter_mut().find(|known| known.owner == owner) {
        known.count.value += 1;
        known.count.written = known.count.value.to_string().into();
    } else {
        let place = resource.values.place.clone();
        let count = Setting::new(1, "aws_lb_target_group_attachment", "1", place);
        resources.targets.push(TargetsOf { owner, count });
    }
}

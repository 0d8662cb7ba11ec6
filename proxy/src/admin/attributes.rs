//! `/attributes`: the effective attributes of load balancers, listeners and target groups, with the
//! defaults of those that nobody set; and their change.
//!
//! In the words of `DescribeLoadBalancerAttributes`, `ModifyLoadBalancerAttributes` and their siblings. A
//! change is in force at once for requests that begin from then on, and is laid over the file as an
//! override.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    api_error::ApiError,
    control::{Control, InForce},
    listeners, load_balancers,
    query::Query,
    target_groups,
};
use crate::{
    config::{AttributeOverrides, Overrides},
    model::{
        LoadBalancerType,
        attributes::{self, AppliesTo, AttributeValues, Resource},
    },
};

/// Parameters besides those of paging.
pub(super) const PARAMETERS: &[&str] = &["LoadBalancerArn", "ListenerArn", "TargetGroupArn"];

/// Attributes of one call at most, as in the API.
const MOST_ATTRIBUTES: usize = 20;

/// The body of a change.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Change {
    load_balancer_arn: Option<String>,
    listener_arn: Option<String>,
    target_group_arn: Option<String>,
    attributes: Vec<Pair>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Pair {
    key: String,
    value: String,
}

/// A resource that has attributes, by its indexes in the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    LoadBalancer(usize),
    Listener(usize, usize),
    TargetGroup(usize),
}

/// The attributes of one resource, or of all.
pub(super) fn list(in_force: &InForce, query: &Query) -> Result<Value, ApiError> {
    let arns = [query.one("LoadBalancerArn")?, query.one("ListenerArn")?, query.one("TargetGroupArn")?];
    if arns.iter().any(Option::is_some) {
        let owner = Owner::find(in_force, arns)?;
        return query.page("Attributes", owner.effective(in_force));
    }
    let model = &in_force.model;
    let entry =
        |kind: &str, arn: &str, owner: Owner| json!({ kind: arn, "Attributes": owner.effective(in_force) });
    let mut all = Vec::new();
    for (i, load_balancer) in model.load_balancers.iter().enumerate() {
        all.push(entry("LoadBalancerArn", &load_balancer.arn, Owner::LoadBalancer(i)));
        for (j, listener) in load_balancer.listeners.iter().enumerate() {
            all.push(entry("ListenerArn", &listener.arn, Owner::Listener(i, j)));
        }
    }
    for (i, group) in model.target_groups.iter().enumerate() {
        all.push(entry("TargetGroupArn", &group.arn, Owner::TargetGroup(i)));
    }
    query.page("Resources", all)
}

/// Changes attributes of a resource; answers all that are in force then.
pub(super) fn modify(control: &dyn Control, change: &Change) -> Result<Value, ApiError> {
    if change.attributes.is_empty() || change.attributes.len() > MOST_ATTRIBUTES {
        let message = format!("'Attributes' must have between '1-{MOST_ATTRIBUTES}' elements inclusive");
        return Err(ApiError::validation(message));
    }
    let in_force = control.in_force();
    let owner = Owner::find(&in_force, change.arns())?;
    let mut values = AttributeOverrides::new();
    for Pair { key, value } in &change.attributes {
        attributes::check(owner.resource(), owner.kind(&in_force), key, value)
            .map_err(|error| ApiError::validation(error.to_string()))?;
        if values.insert(key.clone(), value.clone()).is_some() {
            return Err(ApiError::validation(format!("'{key}' can only be there once")));
        }
    }
    control.change_attributes(&|overrides| {
        if let Some(slot) = owner.slot(&in_force, overrides) {
            slot.extend(values.clone());
        }
    })?;
    let in_force = control.in_force();
    let owner = Owner::find(&in_force, change.arns())?;
    Ok(json!({ "Attributes": owner.effective(&in_force) }))
}

impl Change {
    fn arns(&self) -> [Option<&str>; 3] {
        [&self.load_balancer_arn, &self.listener_arn, &self.target_group_arn].map(Option::as_deref)
    }
}

impl Owner {
    /// The resource with the one ARN that is given: of a load balancer, a listener or a target group.
    fn find(in_force: &InForce, arns: [Option<&str>; 3]) -> Result<Self, ApiError> {
        let model = &in_force.model;
        match arns {
            [Some(arn), None, None] => Ok(Self::LoadBalancer(load_balancers::by_arn(model, arn)?.0)),
            [None, Some(arn), None] => {
                let found = listeners::by_arn(model, arn)?;
                Ok(Self::Listener(found.load_balancer, found.index))
            }
            [None, None, Some(arn)] => {
                Ok(Self::TargetGroup(target_groups::by_arn_or_name(model, Some(arn), None)?.0))
            }
            _ => {
                let message =
                    "exactly one of 'LoadBalancerArn', 'ListenerArn' and 'TargetGroupArn' is needed";
                Err(ApiError::validation(message))
            }
        }
    }

    const fn resource(self) -> Resource {
        match self {
            Self::LoadBalancer(_) => Resource::LoadBalancer,
            Self::Listener(..) => Resource::Listener,
            Self::TargetGroup(_) => Resource::TargetGroup,
        }
    }

    fn given(self, in_force: &InForce) -> Option<&AttributeValues> {
        match self {
            Self::LoadBalancer(index) => in_force.attributes.load_balancer(index),
            Self::Listener(load_balancer, index) => in_force.attributes.listener(load_balancer, index),
            Self::TargetGroup(index) => in_force.attributes.target_group(index),
        }
    }

    /// The type of load balancer it belongs to.
    fn kind(self, in_force: &InForce) -> LoadBalancerType {
        self.given(in_force).map_or(LoadBalancerType::Application, AttributeValues::kind)
    }

    /// Every attribute that exists for the resource, in the order of the table.
    fn effective(self, in_force: &InForce) -> Vec<Value> {
        let (given, kind) = (self.given(in_force), self.kind(in_force));
        attributes::of(self.resource())
            .filter(|attribute| {
                attribute.applies_to.includes(kind) && attribute.applies_to != AppliesTo::Lambda
            })
            .map(|attribute| {
                let value = given.and_then(|given| given.given(attribute.key));
                let default = |given: &AttributeValues| given.default(attribute.key);
                let value =
                    value.unwrap_or_else(|| given.map_or_else(|| attribute.default.of(kind), default));
                json!({ "Key": attribute.key, "Value": value })
            })
            .collect()
    }

    /// Where the resource's overrides are kept.
    fn slot<'o>(
        self,
        in_force: &InForce,
        overrides: &'o mut Overrides,
    ) -> Option<&'o mut AttributeOverrides> {
        let model = &in_force.model;
        Some(match self {
            Self::LoadBalancer(index) => {
                overrides.load_balancers.entry(model.load_balancers.get(index)?.name.clone()).or_default()
            }
            Self::Listener(load_balancer, index) => {
                let load_balancer = model.load_balancers.get(load_balancer)?;
                let bind = load_balancer.listeners.get(index)?.bind;
                overrides.listeners.entry((load_balancer.name.clone(), bind)).or_default()
            }
            Self::TargetGroup(index) => {
                overrides.target_groups.entry(model.target_groups.get(index)?.name.clone()).or_default()
            }
        })
    }
}

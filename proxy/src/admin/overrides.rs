//! `/overrides`: what is not as the configuration file says, because it was changed through this API.
//!
//! Overrides win over the file, also over one that is reloaded, until they are cleared or the process ends.
//! Those of a resource that a reloaded file no longer has are forgotten. Forced health goes with its target.

use serde_json::{Value, json};

use super::{
    AdminState,
    api_error::ApiError,
    targets::{self, override_state},
};
use crate::{
    config::{AttributeOverrides, Overrides, TargetOverrides},
    model::{Model, Target, target_group::TargetId},
    target_groups::Group,
};

/// Every override.
pub(super) fn list(state: &AdminState) -> Value {
    let in_force = state.control.in_force();
    let overrides = &in_force.overrides;
    let load_balancers = overrides
        .load_balancers
        .iter()
        .map(|(name, attributes)| json!({ "LoadBalancerName": name, "Attributes": pairs(attributes) }));
    let listeners = overrides.listeners.iter().map(|((name, bind), attributes)| {
        json!({ "LoadBalancerName": name, "Address": bind.ip(), "Port": bind.port(), "Attributes": pairs(attributes) })
    });
    let target_groups = overrides
        .target_groups
        .iter()
        .map(|(name, attributes)| json!({ "TargetGroupName": name, "Attributes": pairs(attributes) }));
    let targets = overrides.targets.iter().map(|(name, TargetOverrides { registered, deregistered })| {
        json!({
            "TargetGroupName": name,
            "Registered": registered.iter().map(target).collect::<Vec<_>>(),
            "Deregistered": deregistered.iter().map(target).collect::<Vec<_>>(),
        })
    });
    let groups = state.registry.groups();
    json!({
        "LoadBalancers": load_balancers.collect::<Vec<_>>(),
        "Listeners": listeners.collect::<Vec<_>>(),
        "TargetGroups": target_groups.collect::<Vec<_>>(),
        "Targets": targets.collect::<Vec<_>>(),
        "ForcedHealth": groups.iter().flat_map(|group| forced(group, &in_force.model)).collect::<Vec<_>>(),
    })
}

/// Clears all: the file alone is in force, as it was loaded last.
pub(super) fn clear(state: &AdminState) -> Result<Value, ApiError> {
    state.control.change_attributes(&|overrides| *overrides = Overrides::default())?;
    for group in state.registry.groups() {
        for address in group.registered() {
            group.force_health(address, None);
        }
    }
    Ok(json!({}))
}

fn forced(group: &Group, model: &Model) -> Vec<Value> {
    let forced = group.describe().into_iter().filter_map(|target| {
        let state = override_state(target.forced?);
        Some(json!({
            "TargetGroupName": group.name(),
            "Target": { "Id": targets::id(target.addr, target.load_balancer.as_deref(), model), "Port": target.addr.port() },
            "State": state,
        }))
    });
    forced.collect()
}

fn pairs(attributes: &AttributeOverrides) -> Vec<Value> {
    attributes.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}

fn target(target: &Target) -> Value {
    match &target.id {
        TargetId::Ip(ip) => json!({ "Id": ip, "Port": target.port }),
        TargetId::LoadBalancer { name, .. } | TargetId::HostName(name) => {
            json!({ "Id": name, "Port": target.port })
        }
    }
}

//! Actions on targets: register, deregister, drain, force health.
//!
//! In the words of `RegisterTargets` and `DeregisterTargets`. Registering what is registered and
//! deregistering what is not both succeed. A target that comes is `initial` until its first check has
//! passed; one that goes drains for the deregistration delay. An address may be registered again while it
//! still drains: it begins anew, and what it had in flight before ends with the delay.

use std::net::SocketAddr;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{AdminState, api_error::ApiError, control::Refused, target_groups};
use crate::{
    config,
    health::Forced,
    model::{LoadBalancerType, Model, Target, TargetGroup, TargetType, target_group::TargetId},
};

/// `TooManyTargets`: targets of a group, as by ELB's default quota.
const MOST_TARGETS: usize = 1000;

/// The body of an action on targets.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Targets {
    target_group_arn: Option<String>,
    target_group_name: Option<String>,
    targets: Option<Vec<Description>>,
}

/// The body that forces health.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ForceHealth {
    target_group_arn: Option<String>,
    target_group_name: Option<String>,
    targets: Vec<Description>,
    state: ForcedState,
}

/// What health is forced to.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ForcedState {
    Healthy,
    Unhealthy,
    Auto,
}

/// `TargetDescription`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Description {
    id: String,
    port: Option<u16>,
    availability_zone: Option<String>,
}

/// Registers targets.
pub(super) fn register(state: &AdminState, body: &Targets) -> Result<Value, ApiError> {
    let group = body.group(state)?;
    if group.target_type == TargetType::Alb {
        let message = format!("the target of '{}' is a load balancer, which the file names", group.name);
        return Err(ApiError::new("InvalidTarget", message));
    }
    let wanted = parse(body.required()?, &group)?;
    let mut refused = None;
    state
        .control
        .change_targets(&group.name, &mut |overrides, targets| {
            let new = wanted.iter().filter(|target| !targets.contains(target)).count();
            if targets.len() + new > MOST_TARGETS {
                let message = format!("a target group can have up to '{MOST_TARGETS}' targets");
                refused = Some(ApiError::new("TooManyTargets", message.clone()));
                return Err(Refused::because(message));
            }
            for target in &wanted {
                overrides.register(target.clone(), targets);
            }
            Ok(())
        })
        .map_err(|error| refused.take().unwrap_or_else(|| error.into()))?;
    Ok(json!({}))
}

/// Deregisters targets.
pub(super) fn deregister(state: &AdminState, body: &Targets) -> Result<Value, ApiError> {
    let group = body.group(state)?;
    let unwanted = parse(body.required()?, &group)?;
    remove(state, &group, &unwanted)
}

/// Deregisters targets, all of the group if none are named.
pub(super) fn drain(state: &AdminState, body: &Targets) -> Result<Value, ApiError> {
    let group = body.group(state)?;
    let unwanted = match &body.targets {
        Some(targets) => parse(targets, &group)?,
        None => group.targets.clone(),
    };
    remove(state, &group, &unwanted)
}

fn remove(state: &AdminState, group: &TargetGroup, unwanted: &[Target]) -> Result<Value, ApiError> {
    let resolved = addresses(state, &group.name);
    for target in unwanted.iter().filter(|target| !group.targets.contains(target)) {
        let TargetId::Ip(ip) = target.id else { continue };
        if resolved.contains(&SocketAddr::new(ip, target.port)) {
            let message =
                format!("'{ip}' port '{}' is an address of a host name: deregister that", target.port);
            return Err(ApiError::new("InvalidTarget", message));
        }
    }
    state.control.change_targets(&group.name, &mut |overrides, targets| {
        for target in unwanted {
            overrides.deregister(target, targets);
        }
        Ok(())
    })?;
    Ok(json!({}))
}

/// Forces the health of registered targets: all of those named, or none.
pub(super) fn force_health(state: &AdminState, body: &ForceHealth) -> Result<Value, ApiError> {
    let model = &state.control.in_force().model;
    let names = (body.target_group_arn.as_deref(), body.target_group_name.as_deref());
    let (_, settings) = target_groups::by_arn_or_name(model, names.0, names.1)?;
    let wanted = match settings.target_type {
        TargetType::Ip => parse(&body.targets, settings)?,
        TargetType::Alb => load_balancers(&body.targets, settings, model)?,
    };
    let registered = addresses(state, &settings.name);
    let mut addresses = Vec::new();
    for target in &wanted {
        let (TargetId::Ip(ip) | TargetId::LoadBalancer { address: ip, .. }) = target.id else {
            return Err(ApiError::validation("health is forced by IP address"));
        };
        let address = SocketAddr::new(ip, target.port);
        if !registered.contains(&address) {
            let message =
                format!("The target '{ip}' port '{}' is not registered with the target group", target.port);
            return Err(ApiError::new("InvalidTarget", message));
        }
        addresses.push(address);
    }
    let forced = match body.state {
        ForcedState::Healthy => Some(Forced::Healthy),
        ForcedState::Unhealthy => Some(Forced::Unhealthy),
        ForcedState::Auto => None,
    };
    let groups = state.registry.groups();
    for group in groups.iter().filter(|group| group.name() == settings.name) {
        for address in &addresses {
            group.force_health(*address, forced);
        }
    }
    Ok(json!({}))
}

/// The targets of type `alb` that are described, by their load balancers' ARNs.
fn load_balancers(
    targets: &[Description],
    group: &TargetGroup,
    model: &Model,
) -> Result<Vec<Target>, ApiError> {
    let find = |Description { id, port, .. }: &Description| {
        let is = |target: &&Target| match &target.id {
            TargetId::LoadBalancer { name, .. } => {
                *id == model.scope.load_balancer(LoadBalancerType::Application, name)
                    && port.is_none_or(|port| port == target.port)
            }
            TargetId::Ip(_) | TargetId::HostName(_) => false,
        };
        group.targets.iter().find(is).cloned().ok_or_else(|| {
            let message = format!("The target '{id}' is not registered with the target group");
            ApiError::new("InvalidTarget", message)
        })
    };
    targets.iter().map(find).collect()
}

/// The addresses that are registered with a group now, those of host names included.
fn addresses(state: &AdminState, group: &str) -> Vec<SocketAddr> {
    let groups = state.registry.groups();
    let group = groups.iter().find(|it| it.name() == group);
    group.map(|group| group.registered()).unwrap_or_default()
}

impl Targets {
    fn group(&self, state: &AdminState) -> Result<TargetGroup, ApiError> {
        let in_force = state.control.in_force();
        let (arn, name) = (self.target_group_arn.as_deref(), self.target_group_name.as_deref());
        Ok(target_groups::by_arn_or_name(&in_force.model, arn, name)?.1.clone())
    }

    fn required(&self) -> Result<&[Description], ApiError> {
        match self.targets.as_deref() {
            None | Some([]) => Err(ApiError::validation("'Targets' must have at least one element")),
            Some(targets) => Ok(targets),
        }
    }
}

/// The targets that are described; the group's port stands in for those without one.
fn parse(targets: &[Description], group: &TargetGroup) -> Result<Vec<Target>, ApiError> {
    let parse = |target: &Description| {
        let Description { id, port, availability_zone } = target;
        let Some(id) = config::target_id(id) else {
            let message = format!("The target ID '{id}' is neither an IP address nor a host name");
            return Err(ApiError::validation(message));
        };
        if let Some(zone) = availability_zone.as_deref().filter(|zone| *zone != "all") {
            return Err(ApiError::validation(format!("'AvailabilityZone' value '{zone}' must be 'all'")));
        }
        match port.or(group.port) {
            None => Err(ApiError::validation("'Port' is needed: the target group has none")),
            Some(0) => Err(ApiError::validation("'Port' value '0' must be between '1-65535' inclusive")),
            Some(port) => Ok(Target { id, port }),
        }
    };
    targets.iter().map(parse).collect()
}

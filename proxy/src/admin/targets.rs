//! `/targets`: target groups with the health of their targets, in the words of `DescribeTargetHealth`.
//!
//! ELB's states of `AdministrativeOverride` are about zones; those of targets whose health is forced
//! through this API are ours: `albeit_forced_healthy` and `albeit_forced_unhealthy`.

use std::net::SocketAddr;

use serde::Serialize;
use serde_json::Value;

use super::{AdminState, api_error::ApiError, control::InForce, query::Query, target_groups};
use crate::{
    health::{Forced, Reason},
    model::{self, LoadBalancerType, Model},
    target_groups::{Group, TargetDescription},
};

/// Parameters besides those of paging.
pub(super) const PARAMETERS: &[&str] = &["TargetGroupArn", "Names"];

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TargetGroup {
    target_group_name: String,
    target_group_arn: String,
    target_health_descriptions: Vec<TargetHealthDescription>,
}

/// `TargetHealthDescription`, and what ELB does not tell: the work in flight.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TargetHealthDescription {
    target: TargetId,
    health_check_port: String,
    target_health: TargetHealth,
    administrative_override: AdministrativeOverride,
    outstanding_requests: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    anomaly_detection: Option<AnomalyDetection>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AnomalyDetection {
    result: &'static str,
    mitigation_in_effect: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TargetId {
    id: String,
    port: u16,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TargetHealth {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AdministrativeOverride {
    state: &'static str,
    reason: &'static str,
    description: &'static str,
}

/// The targets of groups by ARN or name, or of all, those included that left the configuration and drain.
pub(super) fn list(state: &AdminState, in_force: &InForce, query: &Query) -> Result<Value, ApiError> {
    let (arn, names) = (query.one("TargetGroupArn")?, query.all("Names"));
    let groups = state.registry.groups();
    let is_known = |text: &str| groups.iter().any(|group| group.name() == text || group.arn() == text);
    if !arn.into_iter().chain(names.iter().copied()).all(is_known) {
        return Err(target_groups::not_found());
    }
    let wanted = groups.iter().filter(|group| {
        arn.is_none_or(|arn| group.arn() == arn) && (names.is_empty() || names.contains(&group.name()))
    });
    let described: Result<Vec<Value>, _> =
        wanted.map(|group| serde_json::to_value(target_group(group, in_force))).collect();
    query.page("TargetGroups", described.map_err(|_| ApiError::internal())?)
}

fn target_group(group: &Group, in_force: &InForce) -> TargetGroup {
    let settings = in_force.model.target_groups.iter().find(|settings| settings.name == group.name());
    TargetGroup {
        target_group_name: group.name().to_owned(),
        target_group_arn: group.arn(),
        target_health_descriptions: group
            .describe()
            .iter()
            .map(|target| description(target, settings, &in_force.model))
            .collect(),
    }
}

/// A target of a group with these settings, as the list has it.
pub(super) fn describe(
    target: &TargetDescription,
    settings: Option<&model::TargetGroup>,
    model: &Model,
) -> Value {
    serde_json::to_value(description(target, settings, model)).unwrap_or_default()
}

/// `Target.Id`: the address, or the ARN of the load balancer of that name that is the target.
pub(super) fn id(addr: SocketAddr, load_balancer: Option<&str>, model: &Model) -> String {
    match load_balancer {
        Some(name) => model.scope.load_balancer(LoadBalancerType::Application, name),
        None => addr.ip().to_string(),
    }
}

fn description(
    target: &TargetDescription,
    settings: Option<&model::TargetGroup>,
    model: &Model,
) -> TargetHealthDescription {
    let reason = target.health.reason;
    let id = id(target.addr, target.load_balancer.as_deref(), model);
    let check_port = settings.and_then(|settings| settings.health_check.port);
    TargetHealthDescription {
        target: TargetId { id, port: target.addr.port() },
        health_check_port: check_port.unwrap_or_else(|| target.addr.port()).to_string(),
        target_health: TargetHealth {
            state: target.health.state.as_str(),
            reason: reason.map(Reason::code),
            description: reason.map(|reason| reason.to_string()),
        },
        administrative_override: administrative_override(target.forced),
        outstanding_requests: target.outstanding,
        anomaly_detection: target.anomaly_detection.map(|detected| AnomalyDetection {
            result: detected.result.as_str(),
            mitigation_in_effect: detected.mitigation.as_str(),
        }),
    }
}

/// The state of `AdministrativeOverride` for what an operator said.
pub(super) const fn override_state(forced: Forced) -> &'static str {
    match forced {
        Forced::Healthy => "albeit_forced_healthy",
        Forced::Unhealthy => "albeit_forced_unhealthy",
    }
}

const fn administrative_override(forced: Option<Forced>) -> AdministrativeOverride {
    match forced {
        None => AdministrativeOverride {
            state: "no_override",
            reason: "AdministrativeOverride.NoOverride",
            description: "No override is currently active on target",
        },
        Some(forced) => AdministrativeOverride {
            state: override_state(forced),
            reason: "AdministrativeOverride.AlbeitForced",
            description: "Health is forced through the admin API",
        },
    }
}

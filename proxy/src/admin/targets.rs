//! `/targets`: all target groups with the health of their targets.

use serde::Serialize;

use crate::{
    health::Reason,
    target_groups::{Group, Registry, TargetDescription},
};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TargetGroups {
    target_groups: Vec<TargetGroup>,
}

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
    target_health: TargetHealth,
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

/// The JSON text.
pub(super) fn render(registry: &Registry) -> serde_json::Result<String> {
    let target_groups = registry.groups().iter().map(|group| target_group(group)).collect();
    serde_json::to_string_pretty(&TargetGroups { target_groups })
}

fn target_group(group: &Group) -> TargetGroup {
    TargetGroup {
        target_group_name: group.name().to_owned(),
        target_group_arn: group.arn().to_owned(),
        target_health_descriptions: group.describe().iter().map(description).collect(),
    }
}

fn description(target: &TargetDescription) -> TargetHealthDescription {
    let reason = target.health.reason;
    TargetHealthDescription {
        target: TargetId { id: target.addr.ip().to_string(), port: target.addr.port() },
        target_health: TargetHealth {
            state: target.health.state.as_str(),
            reason: reason.map(Reason::code),
            description: reason.map(|reason| reason.to_string()),
        },
        outstanding_requests: target.outstanding,
        anomaly_detection: target.anomaly_detection.map(|detected| AnomalyDetection {
            result: detected.result.as_str(),
            mitigation_in_effect: detected.mitigation.as_str(),
        }),
    }
}

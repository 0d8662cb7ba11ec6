//! Forward actions: target groups by weight, and what binds clients to one of them.
//!
//! ELB pages: "Action types for listener rules", "Listeners for your Network
//! Load Balancers", `TargetGroupStickinessConfig` of the API reference.

use std::time::Duration;

use super::{
    action::Owner,
    context::Context,
    path::Path,
    protocol::Protocol,
    raw::{RawForward, RawTargetGroupStickiness, RawWeightedTargetGroup},
    scalar::Text,
};
use crate::model::{
    LoadBalancerType, TargetGroupIndex,
    rule::{Forward, WeightedTargetGroup},
    target_group::Stickiness,
};

/// Target groups in one forward action.
const MOST_TARGET_GROUPS: usize = 5;
/// Weight of a target group that names none.
const DEFAULT_WEIGHT: u16 = 1;
/// Heaviest weight of a target group.
const HEAVIEST: u16 = 999;
/// Longest group stickiness of application load balancers: seven days, in seconds.
const LONGEST_GROUP_STICKINESS: u64 = 604_800;

/// Converts a forward action.
pub(super) fn convert(raw: RawForward, owner: Owner<'_>, at: &Path, cx: &mut Context<'_>) -> Option<Forward> {
    let stickiness = raw
        .target_group_stickiness_config
        .and_then(|raw| group_stickiness(&raw, owner, &at.key("target_group_stickiness_config"), cx));
    let (single, list) = (at.key("target_group"), at.key("target_groups"));
    let target_groups = match (raw.target_group, raw.target_groups) {
        (Some(Text(name)), None) => {
            let target_group = cx.target_group(&name, &single, owner.load_balancer, owner.protocol)?;
            vec![WeightedTargetGroup { target_group, weight: DEFAULT_WEIGHT }]
        }
        (None, Some(groups)) => weighted_groups(groups, owner, stickiness.is_some(), &list, cx)?,
        (Some(_), Some(_)) => {
            cx.report.mistake(at, "must have either target_group or target_groups, not both");
            return None;
        }
        (None, None) => {
            if !cx.report.is_reported(&list) {
                cx.report.missing(&single);
            }
            return None;
        }
    };
    Some(Forward { target_groups, stickiness })
}

/// `target_groups` of a forward action; `is_sticky` says whether the action binds clients to one of them.
fn weighted_groups(
    raw: Vec<Option<RawWeightedTargetGroup>>,
    owner: Owner<'_>,
    is_sticky: bool,
    at: &Path,
    cx: &mut Context<'_>,
) -> Option<Vec<WeightedTargetGroup>> {
    if raw.is_empty() || raw.len() > MOST_TARGET_GROUPS {
        let message = format!("must have 1 to {MOST_TARGET_GROUPS} target groups, not {}", raw.len());
        cx.report.mistake(at, message);
    }
    let is_choice = raw.len() > 1;
    let mut found: Vec<WeightedTargetGroup> = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let at = at.index(index);
        let Some(raw) = raw else {
            cx.report.missing(&at);
            continue;
        };
        let weight = raw.weight.map_or(Some(DEFAULT_WEIGHT), |weight| {
            cx.in_range(weight, &at.key("weight"), "weight", (0, HEAVIEST))
        });
        let at = at.key("target_group");
        let target_group = named_group(raw.target_group, owner, &at, cx);
        let (Some(weight), Some(target_group)) = (weight, target_group) else { continue };
        if found.iter().any(|other| other.target_group == target_group) {
            cx.report.mistake(&at, "the action forwards to the same target group twice");
        }
        if is_choice {
            target_stickiness_of_choice(target_group, is_sticky, &at, cx);
        }
        found.push(WeightedTargetGroup { target_group, weight });
    }
    (!found.is_empty()).then_some(found)
}

/// Target stickiness of one of several groups: which kinds work, and what else they need.
fn target_stickiness_of_choice(
    TargetGroupIndex(index): TargetGroupIndex,
    is_sticky: bool,
    at: &Path,
    cx: &mut Context<'_>,
) {
    match cx.groups.get(index).and_then(|group| group.stickiness.as_ref()) {
        Some(Stickiness::AppCookie { .. }) => cx.report.mistake(
            at,
            "stickiness of type 'app_cookie' is not supported with more than one target group; use 'lb_cookie'",
        ),
        Some(Stickiness::LbCookie { .. }) if !is_sticky => cx.report.warn(
            at,
            "its stickiness is lost whenever the weights choose another target group: enable \
             target_group_stickiness_config",
        ),
        Some(Stickiness::LbCookie { .. } | Stickiness::SourceIp) | None => {}
    }
}

fn named_group(
    raw: Option<Text>,
    owner: Owner<'_>,
    at: &Path,
    cx: &mut Context<'_>,
) -> Option<TargetGroupIndex> {
    let name = cx.required(raw, at)?;
    cx.target_group(&name, at, owner.load_balancer, owner.protocol)
}

/// `target_group_stickiness_config`: for how long a client is bound to its group, if it is.
fn group_stickiness(
    raw: &RawTargetGroupStickiness,
    owner: Owner<'_>,
    at: &Path,
    cx: &mut Context<'_>,
) -> Option<Duration> {
    let enabled = raw.enabled.unwrap_or(false);
    if owner.kind == LoadBalancerType::Network {
        if raw.duration.is_some() {
            cx.report.mistake(
                &at.key("duration"),
                "is for application load balancers only: network load balancers bind clients by their address, \
                 without a limit in time",
            );
        }
        if enabled && owner.protocol == Some(Protocol::Tls) {
            cx.report.mistake(at, "is not supported for TLS listeners; use a TCP listener");
        }
        return enabled.then_some(Duration::MAX);
    }
    let at = at.key("duration");
    if enabled && raw.duration.is_none() {
        cx.report.missing(&at);
    }
    let duration = raw.duration.and_then(|span| {
        cx.seconds(span, &at, "target group stickiness duration", (1, LONGEST_GROUP_STICKINESS))
    });
    duration.filter(|_| enabled)
}

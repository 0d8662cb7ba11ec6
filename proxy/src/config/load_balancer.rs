//! Load balancers.
//!
//! ELB pages: "Application Load Balancers", "Network Load Balancers", "Quotas
//! for your Application Load Balancers".

use super::{
    context::Context,
    listener::{self, LoadBalancerRef},
    mutual_authentication, network, network_logs,
    path::Path,
    raw::{RawAttributes, RawLoadBalancer},
    scalar::Text,
};
use crate::model::{
    LoadBalancer, LoadBalancerType, arn,
    attributes::{AttributeValues, Resource},
    load_balancer::LoadBalancerAttributes,
};

/// Names with this prefix are ELB's own.
const RESERVED_PREFIX: &str = "internal-";
/// `type` of load balancers that name none.
const DEFAULT_TYPE: LoadBalancerType = LoadBalancerType::Application;
/// Listeners of a load balancer.
const MOST_LISTENERS: usize = 50;
/// Rules of all its listeners, default rules not counted.
const MOST_RULES: usize = 100;
/// Certificates of all its listeners, default certificates not counted.
const MOST_FURTHER_CERTIFICATES: usize = 25;
/// Target groups its rules forward to, if it is an application load balancer.
const MOST_TARGET_GROUPS: usize = 100;

/// Converts a load balancer.
pub(super) fn convert(raw: RawLoadBalancer, at: &Path, cx: &mut Context<'_>) -> Option<LoadBalancer> {
    let name_at = at.key("name");
    let name = cx.name(raw.name, &name_at, "Load balancer");
    if let Some(name) = name.as_deref()
        && name.starts_with(RESERVED_PREFIX)
    {
        cx.report
            .mistake(&name_at, format!("Load balancer name '{name}' cannot begin with '{RESERVED_PREFIX}'"));
    }
    let kind = kind(raw.r#type, at, cx)?;
    let attributes = attributes(raw.attributes, kind, at, cx);
    // Where the name is missing the path stands in, so that group use is still told apart.
    let load_balancer = name.clone().unwrap_or_else(|| at.to_string());
    let load_balancer = LoadBalancerRef { name: &load_balancer, kind };
    let listeners_at = at.key("listeners");
    let mut listeners = Vec::new();
    match raw.listeners {
        Some(raw) => {
            let rules = raw.iter().flatten().filter_map(|raw| raw.rules.as_ref()).map(Vec::len).sum();
            let certificates = raw.iter().flatten().filter_map(|raw| raw.certificates.as_ref());
            let further = certificates.map(|certificates| certificates.len().saturating_sub(1)).sum();
            at_most(MOST_LISTENERS, raw.len(), "listeners", &listeners_at, cx);
            if kind == LoadBalancerType::Application {
                at_most(MOST_RULES, rules, "rules besides default rules", &listeners_at, cx);
            }
            at_most(
                MOST_FURTHER_CERTIFICATES,
                further,
                "certificates besides default ones",
                &listeners_at,
                cx,
            );
            for (index, raw) in raw.into_iter().enumerate() {
                let at = listeners_at.index(index);
                match raw {
                    Some(raw) => listeners.extend(listener::convert(raw, load_balancer, &at, cx)),
                    None => cx.report.missing(&at),
                }
            }
        }
        None => cx.report.missing(&listeners_at),
    }
    match kind {
        LoadBalancerType::Application => {
            let groups = cx.groups_of(load_balancer.name);
            at_most(MOST_TARGET_GROUPS, groups, "target groups", &listeners_at, cx);
        }
        LoadBalancerType::Network => network::check_targets(load_balancer.name, &listeners_at, cx),
    }
    mutual_authentication::check_count(&listeners, &listeners_at, cx);
    network_logs::warn(kind, &attributes, &listeners, at, cx);
    let name = name?;
    Some(LoadBalancer {
        arn: cx.scope.load_balancer(kind, &name),
        log_name: arn::load_balancer_path(kind, &name),
        dns_name: cx.scope.dns_name(kind, &name),
        name,
        kind,
        attributes,
        listeners,
    })
}

fn at_most(most: usize, number: usize, what: &str, at: &Path, cx: &mut Context<'_>) {
    if number > most {
        cx.report.mistake(at, format!("a load balancer can have up to {most} {what}, not {number}"));
    }
}

fn kind(raw: Option<Text>, at: &Path, cx: &mut Context<'_>) -> Option<LoadBalancerType> {
    const TYPES: &[(&str, Option<LoadBalancerType>)] = &[
        ("application", Some(LoadBalancerType::Application)),
        ("network", Some(LoadBalancerType::Network)),
        ("gateway", None),
    ];
    let at = at.key("type");
    let Some(Text(text)) = raw else { return Some(DEFAULT_TYPE) };
    let kind = cx.one_of(&text, &at, "Load balancer type", TYPES)?;
    if kind.is_none() {
        cx.report.not_yet(&at, &format!("load balancers of type {text}"));
    }
    kind
}

fn attributes(
    raw: RawAttributes,
    kind: LoadBalancerType,
    at: &Path,
    cx: &mut Context<'_>,
) -> LoadBalancerAttributes {
    let at = at.key("attributes");
    let mut values = AttributeValues::new(Resource::LoadBalancer, kind);
    cx.attributes(raw, &at, &mut values);
    if kind == LoadBalancerType::Application
        && values.given("load_balancing.cross_zone.enabled") == Some("false")
    {
        let at = at.key("load_balancing.cross_zone.enabled");
        cx.report.mistake(&at, "cross-zone load balancing is always on for application load balancers");
    }
    for logs in ["access_logs", "connection_logs", "health_check_logs", "albeit.flow_logs"] {
        let bucket = format!("{logs}.s3.bucket");
        if values.flag(&format!("{logs}.s3.enabled")) && values.text(&bucket).is_empty() {
            cx.report.missing(&at.key(&bucket));
        }
    }
    LoadBalancerAttributes::from_values(&values, cx.base)
}

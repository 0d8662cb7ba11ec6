//! Listeners and their rules.
//!
//! ELB pages: "Listeners for your Application Load Balancers", "Listener rules".

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use super::{
    action::{self, Owner},
    condition,
    context::Context,
    mutual_authentication, network,
    path::Path,
    protocol::{self, Protocol},
    proxy_protocol,
    raw::{List, RawListener, RawRule},
    scalar::Text,
    transform,
};
use crate::model::{
    Listener, ListenerProtocol, LoadBalancerType, Rule, SecurityPolicy, arn,
    attributes::{AttributeValues, Resource, nearest},
    listener::{AlpnPolicy, ListenerAttributes, ListenerTls, MutualAuthentication},
    security_policy,
};

/// Where listeners without `address` listen.
pub(super) const DEFAULT_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
/// Priorities of rules.
const PRIORITIES: (u16, u16) = (1, 50_000);

/// The load balancer whose listener is converted.
#[derive(Debug, Clone, Copy)]
pub(super) struct LoadBalancerRef<'a> {
    pub(super) name: &'a str,
    pub(super) kind: LoadBalancerType,
}

/// Converts a listener.
pub(super) fn convert(
    raw: RawListener,
    load_balancer: LoadBalancerRef<'_>,
    at: &Path,
    cx: &mut Context<'_>,
) -> Option<Listener> {
    let protocol = match raw.protocol {
        Some(Text(text))
            if load_balancer.kind == LoadBalancerType::Network
                && protocol::refuse_if_not_carried(&text, "listeners", &at.key("protocol"), cx) =>
        {
            return None;
        }
        raw => protocol(raw, load_balancer.kind, at, cx),
    };
    let address = address(raw.address, at, cx);
    let port_at = at.key("port");
    let port = match raw.port {
        Some(port) => cx.port(port, &port_at),
        None => {
            cx.report.missing(&port_at);
            None
        }
    };
    if let (Some(address), Some(port)) = (address, port) {
        cx.claim(SocketAddr::new(address, port), &port_at);
    }
    let mut tls = tls(raw.ssl_policy, raw.certificates, protocol, at, cx);
    let alpn_policy = alpn_policy(raw.alpn_policy, protocol, at, cx);
    if let (Some(tls), Some(policy)) = (&mut tls, alpn_policy) {
        tls.alpn_policy = policy;
    }
    if let Some(raw) = raw.mutual_authentication {
        let at = at.key("mutual_authentication");
        mutual_authentication::convert(raw, protocol, tls.as_mut(), &at, cx);
    }
    let mut values = AttributeValues::new(Resource::Listener, load_balancer.kind);
    let attributes_at = at.key("attributes");
    cx.attributes(raw.attributes, &attributes_at, &mut values);
    network::check_listener(&values, protocol, &attributes_at, cx);
    proxy_protocol::check(&values, &attributes_at, cx);
    let owner = Owner { load_balancer: load_balancer.name, kind: load_balancer.kind, protocol, port };
    let default_actions = action::convert(raw.default_actions, owner, &at.key("default_actions"), cx);
    let protocol = protocol.map(served);
    let arn = protocol
        .zip(port)
        .map(|(protocol, port)| cx.scope.listener(load_balancer.kind, load_balancer.name, protocol, port));
    let rules = rules(raw.rules, owner, arn.as_deref(), &at.key("rules"), cx);
    let bind = SocketAddr::new(address?, port?);
    Some(Listener {
        arn: arn?,
        protocol: protocol?,
        bind,
        tls,
        rules,
        default_actions: default_actions?,
        attributes: ListenerAttributes::from(&values),
    })
}

const fn served(protocol: Protocol) -> ListenerProtocol {
    match protocol {
        Protocol::Http => ListenerProtocol::Http,
        Protocol::Https => ListenerProtocol::Https,
        Protocol::Tcp => ListenerProtocol::Tcp,
        Protocol::Tls => ListenerProtocol::Tls,
    }
}

fn protocol(raw: Option<Text>, kind: LoadBalancerType, at: &Path, cx: &mut Context<'_>) -> Option<Protocol> {
    let at = at.key("protocol");
    let text = cx.required(raw, &at)?;
    cx.one_of(&text, &at, "Listener protocol", &Protocol::of(kind))
}

fn address(raw: Option<Text>, at: &Path, cx: &mut Context<'_>) -> Option<IpAddr> {
    let Some(Text(text)) = raw else { return Some(DEFAULT_ADDRESS) };
    let address = text.parse().ok();
    if address.is_none() {
        cx.report.mistake(&at.key("address"), format!("'{text}' is not an IP address"));
    }
    address
}

fn tls(
    ssl_policy: Option<Text>,
    certificates: List<Text>,
    protocol: Option<Protocol>,
    at: &Path,
    cx: &mut Context<'_>,
) -> Option<ListenerTls> {
    let protocol = protocol?;
    let (policy_at, certificates_at) = (at.key("ssl_policy"), at.key("certificates"));
    if !protocol.is_tls() {
        for (at, given) in [(policy_at, ssl_policy.is_some()), (certificates_at, certificates.is_some())] {
            if given {
                cx.report.mistake(&at, format!("is not for {} listeners", protocol.as_str()));
            }
        }
        return None;
    }
    let policy = policy(ssl_policy, &policy_at, cx);
    let Some(names) = certificates.filter(|names| !names.is_empty()) else {
        if !cx.report.is_reported(&certificates_at) {
            let message = format!("{} listeners need at least one certificate", protocol.as_str());
            cx.report.mistake(&certificates_at, message);
        }
        return None;
    };
    let mut certificates = Vec::new();
    for (index, name) in names.into_iter().enumerate() {
        let at = certificates_at.index(index);
        let found = cx.required(name, &at).and_then(|name| cx.certificate(&name, &at));
        certificates.extend(found);
    }
    Some(ListenerTls {
        policy: policy?,
        certificates,
        mutual_authentication: MutualAuthentication::Off,
        alpn_policy: AlpnPolicy::None,
    })
}

/// The policy by its name; without one the API's default.
fn policy(raw: Option<Text>, at: &Path, cx: &mut Context<'_>) -> Option<&'static SecurityPolicy> {
    let name = raw.map(|Text(name)| name);
    if name.is_none() && !cx.report.is_reported(at) {
        cx.report.warn(at, format!("not given: {} is used, as by the API of ELB", security_policy::DEFAULT));
    }
    let name = name.as_deref().unwrap_or(security_policy::DEFAULT);
    let Some(policy) = SecurityPolicy::by_name(name) else {
        let near = nearest(SecurityPolicy::all().iter().map(|policy| policy.name), name);
        let near = near.map(|near| format!(" (did you mean '{near}'?)")).unwrap_or_default();
        cx.report.mistake(at, format!("SSL policy '{name}' not found{near}"));
        return None;
    };
    if let Some(warning) = policy.left_out_warning() {
        cx.report.warn(at, warning);
    }
    Some(policy)
}

fn alpn_policy(
    raw: Option<Text>,
    protocol: Option<Protocol>,
    at: &Path,
    cx: &mut Context<'_>,
) -> Option<AlpnPolicy> {
    const POLICIES: &[(&str, AlpnPolicy)] = &[
        ("HTTP1Only", AlpnPolicy::Http1Only),
        ("HTTP2Only", AlpnPolicy::Http2Only),
        ("HTTP2Optional", AlpnPolicy::Http2Optional),
        ("HTTP2Preferred", AlpnPolicy::Http2Preferred),
        ("None", AlpnPolicy::None),
    ];
    let Text(text) = raw?;
    let at = at.key("alpn_policy");
    if protocol.is_some_and(|protocol| protocol != Protocol::Tls) {
        cx.report.mistake(&at, "is for TLS listeners of network load balancers only");
    }
    cx.one_of(&text, &at, "ALPN policy", POLICIES)
}

/// Converts the rules and sorts them by priority.
fn rules(
    raw: List<RawRule>,
    owner: Owner<'_>,
    listener_arn: Option<&str>,
    at: &Path,
    cx: &mut Context<'_>,
) -> Vec<Rule> {
    let raw = raw.unwrap_or_default();
    if owner.kind == LoadBalancerType::Network && !raw.is_empty() {
        cx.report.mistake(at, "network load balancers have no rules");
        return Vec::new();
    }
    let mut priorities = HashMap::new();
    let mut rules = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let at = at.index(index);
        let Some(raw) = raw else {
            cx.report.missing(&at);
            continue;
        };
        let priority_at = at.key("priority");
        let priority = match raw.priority {
            Some(number) => cx.in_range(number, &priority_at, "priority", PRIORITIES),
            None => {
                cx.report.missing(&priority_at);
                None
            }
        };
        if let Some(priority) = priority
            && let Some(other) = priorities.insert(priority, index)
        {
            cx.report
                .mistake(&priority_at, format!("priority {priority} is already in use by rules[{other}]"));
        }
        let conditions = condition::convert_all(raw.conditions, &at.key("conditions"), cx);
        let transforms_at = at.key("transforms");
        let transforms = transform::convert_all(raw.transforms, &transforms_at, cx);
        let actions = action::convert(raw.actions, owner, &at.key("actions"), cx);
        if let (Some(priority), Some(actions)) = (priority, actions) {
            let arn = listener_arn.map(|arn| arn::rule(arn, priority)).unwrap_or_default();
            transform::warn_if_unused(&transforms, &actions.action, &transforms_at, cx);
            rules.push(Rule { arn, priority, conditions, transforms, actions });
        }
    }
    rules.sort_by_key(|rule| rule.priority);
    rules
}

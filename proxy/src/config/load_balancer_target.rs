//! Targets of type `alb`: an application load balancer of the same file.
//!
//! ELB page: "Use an Application Load Balancer as a target of a Network Load
//! Balancer". The file may name a load balancer before it describes it, so
//! targets are [`Wanted`] first and resolved when all load balancers are known.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    context::{Context, have},
    path::Path,
    raw::{List, RawTarget},
};
use crate::model::{
    HealthCheckProtocol, Listener, LoadBalancer, LoadBalancerType, Target, TargetGroup, TargetGroupIndex,
    listener::ProxyProtocolMode, target_group::TargetId,
};

/// Network load balancers that an application load balancer can be the target of.
const MOST_NETWORK_LOAD_BALANCERS: usize = 2;

/// A load balancer that targets can refer to.
#[derive(Debug)]
pub(super) struct KnownLoadBalancer {
    /// Its name, if it has one.
    pub(super) name: Option<String>,
    /// Its place in the model, with its type; `None` if it has mistakes.
    pub(super) converted: Option<(usize, LoadBalancerType)>,
}

/// A target of type `alb` before its load balancer was looked for.
#[derive(Debug)]
pub(super) struct Wanted {
    group: TargetGroupIndex,
    group_at: Path,
    /// Name or ARN.
    id: String,
    id_at: Path,
    /// The target's port.
    port: u16,
    /// Ports that must be a listener's, with their places: the target's, and the group's.
    ports: Vec<(u16, Path)>,
}

/// Converts the one target of the group that is converted next.
pub(super) fn convert(
    raw: List<RawTarget>,
    group_port: Option<u16>,
    group_at: &Path,
    cx: &mut Context<'_>,
) -> Option<Target> {
    let at = group_at.key("targets");
    let raw = match raw.map(<[_; 1]>::try_from) {
        Some(Ok([raw])) => raw,
        wrong => {
            let count = wrong.map_or(0, |wrong| wrong.map_or_else(|raw| raw.len(), |_| 1));
            if !cx.report.is_reported(&at) {
                let message = format!("must be one application load balancer, not {count} targets");
                cx.report.mistake(&at, message);
            }
            return None;
        }
    };
    let at = at.index(0);
    let Some(raw) = raw else {
        cx.report.missing(&at);
        return None;
    };
    if raw.availability_zone.is_some() {
        cx.report.mistake(&at.key("availability_zone"), "is not for targets of type alb");
    }
    if raw.quic_server_id.is_some() {
        cx.report.mistake(&at.key("quic_server_id"), "is not for targets of type alb");
    }
    let (id_at, port_at) = (at.key("id"), at.key("port"));
    let id = cx.required(raw.id, &id_at);
    let group_port_at = group_at.key("port");
    let own_port = raw.port.map(|port| cx.port(port, &port_at));
    if own_port.is_none() && group_port.is_none() && !cx.report.is_reported(&group_port_at) {
        cx.report.missing(&port_at);
    }
    let (id, port) = (id?, own_port.unwrap_or(group_port)?);
    let own = own_port.flatten().map(|port| (port, port_at));
    let ports = group_port.map(|port| (port, group_port_at)).into_iter().chain(own).collect();
    let group = TargetGroupIndex(cx.groups.len());
    cx.wanted.push(Wanted { group, group_at: group_at.clone(), id: id.clone(), id_at, port, ports });
    Some(Target { id: TargetId::LoadBalancer { name: id, address: Ipv4Addr::LOCALHOST.into() }, port })
}

/// Finds the load balancers that targets name, and writes names and addresses into `groups`.
pub(super) fn resolve(load_balancers: &[LoadBalancer], groups: &mut [TargetGroup], cx: &mut Context<'_>) {
    let mut users: Vec<(&str, String)> = Vec::new();
    for wanted in std::mem::take(&mut cx.wanted) {
        let Some(found) = find(&wanted, load_balancers, cx) else { continue };
        let TargetGroupIndex(index) = wanted.group;
        if let Some(user) = cx.groups.get(index).and_then(|group| group.used_by.clone())
            && !users.contains(&(&found.name, user.clone()))
        {
            users.push((&found.name, user));
            if users.iter().filter(|(name, _)| *name == found.name).count() > MOST_NETWORK_LOAD_BALANCERS {
                let name = &found.name;
                let message = format!(
                    "application load balancer \"{name}\" can be the target of up to {MOST_NETWORK_LOAD_BALANCERS} \
                     network load balancers"
                );
                cx.report.mistake(&wanted.id_at, message);
            }
        }
        let Some(address) = address(&wanted, found, cx) else { continue };
        // With mistakes elsewhere the group may stand at another place, but then there is no model.
        let Some(group) = groups.get_mut(index) else { continue };
        check_health_check(group, &wanted, found, cx);
        group.targets = vec![Target {
            id: TargetId::LoadBalancer { name: found.name.clone(), address },
            port: wanted.port,
        }];
    }
}

/// The load balancer by its name or ARN; `None` if there is none or it has mistakes of its own.
fn find<'l>(
    wanted: &Wanted,
    load_balancers: &'l [LoadBalancer],
    cx: &mut Context<'_>,
) -> Option<&'l LoadBalancer> {
    let id = wanted.id.as_str();
    let is_named = |known: &&KnownLoadBalancer| {
        let name = known.name.as_deref();
        let arn = known.converted.and_then(|(index, _)| load_balancers.get(index)).map(|it| it.arn.as_str());
        name == Some(id) || arn == Some(id)
    };
    let named: Vec<_> = cx.load_balancers.iter().filter(is_named).collect();
    let of = |kind| {
        let converted = named.iter().filter_map(|known| known.converted);
        converted.filter(|(_, it)| *it == kind).find_map(|(index, _)| load_balancers.get(index))
    };
    if let Some(found) = of(LoadBalancerType::Application) {
        return Some(found);
    }
    let has_mistakes = named.iter().any(|known| known.converted.is_none());
    let could_be_any = id.starts_with("arn:") && cx.load_balancers.iter().any(|it| it.converted.is_none());
    let message = match of(LoadBalancerType::Network) {
        _ if has_mistakes || could_be_any => return None,
        Some(_) => {
            format!("\"{id}\" is a network load balancer; the target must be an application load balancer")
        }
        None => {
            let application = load_balancers.iter().filter(|it| it.kind == LoadBalancerType::Application);
            let have = have(application.map(|it| &it.name));
            format!("no application load balancer \"{id}\" ({have})")
        }
    };
    cx.report.mistake(&wanted.id_at, message);
    None
}

/// Where the load balancer's listener with the wanted port is reached.
fn address(wanted: &Wanted, found: &LoadBalancer, cx: &mut Context<'_>) -> Option<IpAddr> {
    let name = &found.name;
    for (port, at) in &wanted.ports {
        if listener(found, *port).is_none() {
            let mut ports: Vec<_> = found.listeners.iter().map(|listener| listener.bind.port()).collect();
            ports.dedup();
            let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
            let message = format!(
                "application load balancer \"{name}\" has no listener on port {port} (have: {})",
                ports.join(", ")
            );
            cx.report.mistake(at, message);
        }
    }
    let listener = listener(found, wanted.port)?;
    if listener.attributes.proxy_protocol.mode == ProxyProtocolMode::Required {
        let port = wanted.port;
        let message = format!(
            "the listener on port {port} of application load balancer \"{name}\" requires a PROXY protocol header, \
             and network load balancers send none to targets of type alb: set its 'albeit.proxy_protocol' to 'optional'"
        );
        cx.report.mistake(&wanted.id_at, message);
    }
    Some(from_this_host(listener.bind.ip()))
}

fn listener(load_balancer: &LoadBalancer, port: u16) -> Option<&Listener> {
    load_balancer.listeners.iter().find(|listener| listener.bind.port() == port)
}

/// Warns of health checks that no listener of the load balancer can answer.
fn check_health_check(group: &TargetGroup, wanted: &Wanted, found: &LoadBalancer, cx: &mut Context<'_>) {
    let check = &group.health_check;
    let Some(listener) = listener(found, check.port.unwrap_or(wanted.port)) else { return };
    if listener.protocol.is_tls() != (check.protocol == HealthCheckProtocol::Https) {
        let (spoken, expected) = (check.protocol.as_str(), listener.protocol.as_str());
        let (name, port) = (&found.name, listener.bind.port());
        let message = format!(
            "{spoken} checks cannot pass: the listener on port {port} of application load balancer \"{name}\" speaks \
             {expected}"
        );
        cx.report.warn(&wanted.group_at.key("health_check").key("protocol"), message);
    }
}

/// The address under which a socket that listens on `bind` is reached from this host.
const fn from_this_host(bind: IpAddr) -> IpAddr {
    match bind {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(address) if address.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        other => other,
    }
}

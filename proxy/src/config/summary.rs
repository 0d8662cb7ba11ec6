//! What will listen where, for people.

use std::fmt::{self, Write as _};

use http::uri::Authority;

use crate::model::{
    Action, HealthCheckProtocol, Listener, Model, TargetGroup, TargetGroupProtocol,
    listener::{AlpnPolicy, ProxyProtocol, ProxyProtocolMode},
    rule::Redirect,
    target_group::{Stickiness, TargetId},
};

/// What will listen where: load balancers with their listeners, target groups with their targets, the admin API.
#[must_use]
pub fn summary(model: &Model) -> String {
    let mut text = String::new();
    // Writing to a `String` cannot fail, so there is no error to lose.
    write(model, &mut text).map_or_else(|_| String::new(), |()| text)
}

fn write(model: &Model, out: &mut String) -> fmt::Result {
    for load_balancer in &model.load_balancers {
        writeln!(out, "load balancer {} ({})", load_balancer.name, load_balancer.kind.as_str())?;
        for listener in &load_balancer.listeners {
            write_listener(model, listener, out)?;
        }
    }
    for group in &model.target_groups {
        write_group(group, out)?;
    }
    match model.admin.bind {
        Some(bind) => writeln!(out, "admin API on {bind}"),
        None => writeln!(out, "no admin API"),
    }?;
    match &model.traces {
        Some(traces) => {
            // The host alone: a path or query may hold a key.
            let host = traces.endpoint.authority().map_or("", Authority::as_str);
            writeln!(out, "traces to {host}")
        }
        None => Ok(()),
    }
}

fn write_listener(model: &Model, listener: &Listener, out: &mut String) -> fmt::Result {
    write!(out, "  {} on {}", listener.protocol.as_str(), listener.bind)?;
    if let Some(tls) = &listener.tls {
        let names: Vec<_> = tls
            .certificates
            .iter()
            .filter_map(|index| model.certificate(*index))
            .map(|certificate| certificate.name.as_str())
            .collect();
        write!(out, ", {}, certificates {}", tls.policy.name, names.join(", "))?;
        if tls.alpn_policy != AlpnPolicy::None {
            write!(out, ", ALPN {}", tls.alpn_policy.as_str())?;
        }
    }
    write_proxy_protocol(&listener.attributes.proxy_protocol, out)?;
    match listener.rules.len() {
        0 => {}
        1 => write!(out, ", 1 rule")?,
        rules => write!(out, ", {rules} rules")?,
    }
    writeln!(out, ", default: {}", describe(model, &listener.default_actions.action))
}

fn write_proxy_protocol(settings: &ProxyProtocol, out: &mut String) -> fmt::Result {
    let mode = match settings.mode {
        ProxyProtocolMode::Off => return Ok(()),
        ProxyProtocolMode::Optional => "optional",
        ProxyProtocolMode::Required => "required",
    };
    let trusted: Vec<_> = settings.trusted.iter().map(ToString::to_string).collect();
    write!(out, ", PROXY protocol {mode} from {}", trusted.join(", "))
}

fn describe(model: &Model, action: &Action) -> String {
    match action {
        Action::Forward(forward) => {
            let total: u32 = forward.target_groups.iter().map(|group| u32::from(group.weight)).sum();
            let names = forward.target_groups.iter().map(|group| {
                let name = model.target_group(group.target_group).map_or("?", |group| &group.name);
                if forward.target_groups.len() == 1 {
                    name.to_owned()
                } else {
                    format!("{name} ({} of {total})", group.weight)
                }
            });
            format!("forward to {}", names.collect::<Vec<_>>().join(", "))
        }
        Action::Redirect(redirect) => {
            let Redirect { protocol, host, port, path, query, status } = redirect;
            format!("redirect {} to {protocol}://{host}:{port}{path}?{query}", status.as_u16())
        }
        Action::FixedResponse(response) => format!("fixed response {}", response.status.as_u16()),
    }
}

fn write_group(group: &TargetGroup, out: &mut String) -> fmt::Result {
    let check = &group.health_check;
    write!(out, "target group {}: ", group.name)?;
    match (group.protocol, check.protocol) {
        (TargetGroupProtocol::Http | TargetGroupProtocol::Https, _) => {
            write!(out, "health check {}", check.path)?;
        }
        (protocol, HealthCheckProtocol::Tcp) => write!(out, "{}, health check TCP", protocol.as_str())?,
        (protocol, request) => {
            write!(out, "{}, health check {} {}", protocol.as_str(), request.as_str(), check.path)?;
        }
    }
    write!(out, " every {} s", check.interval.as_secs())?;
    match &group.attributes.stickiness {
        Some(Stickiness::LbCookie { duration }) => write!(out, ", lb_cookie for {} s", duration.as_secs())?,
        Some(Stickiness::SourceIp) => write!(out, ", source_ip")?,
        Some(Stickiness::AppCookie { cookie_name, duration }) => {
            write!(out, ", app_cookie {cookie_name} for {} s", duration.as_secs())?;
        }
        None => {}
    }
    if group.attributes.flows.proxy_protocol_v2 {
        write!(out, ", PROXY protocol v2")?;
    }
    writeln!(out)?;
    for target in &group.targets {
        match &target.id {
            TargetId::Ip(address) => writeln!(out, "  {}", std::net::SocketAddr::new(*address, target.port))?,
            TargetId::HostName(name) => writeln!(out, "  {name}:{}", target.port)?,
            TargetId::LoadBalancer { name, .. } => {
                writeln!(out, "  load balancer {name}, port {}", target.port)?;
            }
        }
    }
    Ok(())
}

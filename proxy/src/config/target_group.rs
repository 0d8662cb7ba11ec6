//! Target groups and their targets.

use std::collections::HashSet;

use super::{
    context::{Context, KnownGroup},
    health_check, load_balancer_target, overrides,
    path::Path,
    protocol::{self, Protocol},
    raw::{List, RawTarget, RawTargetGroup},
    scalar::Text,
    targets_declare,
};
use crate::model::{
    HealthCheck, LoadBalancerType, Target, TargetGroup, TargetGroupProtocol, TargetType, arn,
    attributes::{AttributeValues, GroupProtocol, Resource, target_group_constraints},
    fault::FaultAttributes,
    target_group::{ProtocolVersion, TargetGroupAttributes, TargetId},
};

/// `protocol_version` of groups that name none.
const DEFAULT_PROTOCOL_VERSION: &str = "HTTP1";

/// Every protocol version with its name.
const PROTOCOL_VERSIONS: &[(&str, ProtocolVersion)] =
    &[("HTTP1", ProtocolVersion::Http1), ("HTTP2", ProtocolVersion::Http2), ("GRPC", ProtocolVersion::Grpc)];

/// Converts one target group. What is known of it is good enough for those who refer to it by name.
pub(super) fn convert(
    raw: RawTargetGroup,
    name: Option<String>,
    at: &Path,
    cx: &mut Context<'_>,
) -> (KnownGroup, Option<TargetGroup>) {
    let mut known = KnownGroup::default();
    let group = into_group(raw, name, &mut known, at, cx);
    known.stickiness = group.as_ref().and_then(|group| group.attributes.stickiness.clone());
    known.targets = group.as_ref().map_or(0, |group| group.targets.len());
    (known, group)
}

fn into_group(
    raw: RawTargetGroup,
    name: Option<String>,
    known: &mut KnownGroup,
    at: &Path,
    cx: &mut Context<'_>,
) -> Option<TargetGroup> {
    if let Some(Text(text)) = &raw.protocol
        && protocol::refuse_if_not_carried(text, "target groups", &at.key("protocol"), cx)
    {
        return None;
    }
    if let Some(raw) = raw.targets_declare {
        let declared = targets_declare::convert(raw, &at.key("targets_declare"), cx);
        // This group's place: those before it are known.
        cx.targets_declare.insert(cx.groups.len(), declared);
    }
    let target_type = target_type(raw.target_type, at, cx);
    let protocol = protocol(raw.protocol, target_type, at, cx);
    let version = protocol_version(raw.protocol_version, protocol, at, cx);
    (known.target_type, known.protocol, known.version) = (target_type, protocol, version);
    let version = version.unwrap_or(ProtocolVersion::Http1);
    let port = raw.port.and_then(|port| cx.port(port, &at.key("port")));
    let settings = health_check::Setting { group: protocol, version, target_type };
    let health_check = health_check::convert(raw.health_check, settings, &at.key("health_check"), cx);
    let kind = protocol.map_or(LoadBalancerType::Application, Protocol::kind);
    let mut values = AttributeValues::new(Resource::TargetGroup, kind).for_targets(target_type);
    if let Some(protocol) = protocol {
        let at = at.key("attributes");
        cx.attributes(raw.attributes, &at, &mut values);
        let group = GroupProtocol { name: protocol.as_str(), kind };
        for (key, message) in target_group_constraints(&values, group) {
            cx.report.mistake(&at.key(key), message);
        }
    }
    let attributes = TargetGroupAttributes::from(&values);
    warn_of_faults(&attributes.faults, &at.key("attributes"), cx);
    let targets = match target_type {
        TargetType::Ip => targets(raw.targets, port, at, cx),
        TargetType::Alb => load_balancer_target::convert(raw.targets, port, at, cx).into_iter().collect(),
    };
    let health_check = HealthCheck { proxy_protocol_v2: attributes.flows.proxy_protocol_v2, ..health_check? };
    let name = name?;
    Some(TargetGroup {
        arn: cx.scope.target_group(&name),
        metric_name: arn::target_group_path(&name),
        name,
        protocol: match protocol {
            Some(Protocol::Https) => TargetGroupProtocol::Https,
            Some(Protocol::Tcp) => TargetGroupProtocol::Tcp,
            Some(Protocol::Tls) => TargetGroupProtocol::Tls,
            _ => TargetGroupProtocol::Http,
        },
        target_type,
        protocol_version: version,
        port,
        health_check,
        attributes,
        targets,
    })
}

/// Says what the group does wrong on purpose: nobody is to be surprised by it.
fn warn_of_faults(faults: &FaultAttributes, at: &Path, cx: &mut Context<'_>) {
    for fault in faults.all_on() {
        if let Some(described) = faults.describe(fault) {
            cx.report.warn(&at.key(fault.key()), format!("a fault is on: {described}"));
        }
    }
}

fn protocol(raw: Option<Text>, target_type: TargetType, at: &Path, cx: &mut Context<'_>) -> Option<Protocol> {
    let at = at.key("protocol");
    let text = cx.required(raw, &at)?;
    let protocol = cx.one_of(&text, &at, "Target group protocol", Protocol::ALL)?;
    if target_type == TargetType::Alb && protocol != Protocol::Tcp {
        cx.report.mistake(&at, format!("must be TCP for targets of type alb, not {text}"));
        return None;
    }
    Some(protocol)
}

fn protocol_version(
    raw: Option<Text>,
    protocol: Option<Protocol>,
    at: &Path,
    cx: &mut Context<'_>,
) -> Option<ProtocolVersion> {
    let at = at.key("protocol_version");
    if let (Some(_), Some(protocol)) = (&raw, protocol)
        && protocol.kind() == LoadBalancerType::Network
    {
        cx.report.mistake(&at, format!("is not for target groups with protocol {}", protocol.as_str()));
        return Some(ProtocolVersion::Http1);
    }
    let text = raw.map_or_else(|| DEFAULT_PROTOCOL_VERSION.to_owned(), |Text(text)| text);
    cx.one_of(&text, &at, "Protocol version", PROTOCOL_VERSIONS)
}

/// The type of targets; `ip` if none is named.
fn target_type(raw: Option<Text>, at: &Path, cx: &mut Context<'_>) -> TargetType {
    const TYPES: &[(&str, Option<TargetType>)] =
        &[("instance", None), ("ip", Some(TargetType::Ip)), ("lambda", None), ("alb", Some(TargetType::Alb))];
    let Some(Text(text)) = raw else { return TargetType::Ip };
    let at = at.key("target_type");
    let found = cx.one_of(&text, &at, "Target type", TYPES);
    if found == Some(None) {
        cx.report.not_yet(&at, &format!("targets of type {text}"));
    }
    found.flatten().unwrap_or_default()
}

fn targets(raw: List<RawTarget>, port: Option<u16>, at: &Path, cx: &mut Context<'_>) -> Vec<Target> {
    let group_port_is_bad = cx.report.is_reported(&at.key("port"));
    let mut seen = HashSet::new();
    let mut targets = Vec::new();
    let at = at.key("targets");
    for (index, raw) in raw.unwrap_or_default().into_iter().enumerate() {
        let at = at.index(index);
        let Some(raw) = raw else {
            cx.report.missing(&at);
            continue;
        };
        if let Some(Text(zone)) = &raw.availability_zone
            && zone != "all"
        {
            cx.report.not_yet(&at.key("availability_zone"), "availability zones");
        }
        if raw.quic_server_id.is_some() {
            cx.report.not_yet(&at.key("quic_server_id"), "QUIC targets");
        }
        let id = target_id(raw.id, &at, cx);
        let own_port = raw.port.map(|port| cx.port(port, &at.key("port")));
        let Some(port) = own_port.unwrap_or(port) else {
            if own_port.is_none() && !group_port_is_bad {
                cx.report.missing(&at.key("port"));
            }
            continue;
        };
        let Some(id) = id else { continue };
        let target = Target { id, port };
        if !seen.insert(target.clone()) {
            cx.report.mistake(&at, "the same id and port are registered twice");
            continue;
        }
        targets.push(target);
    }
    targets
}

fn target_id(raw: Option<Text>, at: &Path, cx: &mut Context<'_>) -> Option<TargetId> {
    let at = at.key("id");
    let id = cx.required(raw, &at)?;
    let parsed = overrides::target_id(&id);
    if parsed.is_none() {
        cx.report.mistake(&at, format!("'{id}' is neither an IP address nor a host name"));
    }
    parsed
}

/// RFC 1123 host name, underscores allowed as container engines use them; all digits and dots is no name.
pub(super) fn is_host_name(text: &str) -> bool {
    const LONGEST: usize = 253;
    const LONGEST_LABEL: usize = 63;
    let label_is_fine = |label: &str| {
        !label.is_empty()
            && label.len() <= LONGEST_LABEL
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    text.len() <= LONGEST
        && name.split('.').all(label_is_fine)
        && !name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_told_from_garbage() {
        for good in ["localhost", "backend-1", "a.b.example.com", "web_1", "example.com.", "4you.example"] {
            assert!(is_host_name(good), "{good}");
        }
        for bad in ["", ".", "a..b", "-a", "a-", "10.0.0", "10.0.0.300", "a b", "http://a", "a:80"] {
            assert!(!is_host_name(bad), "{bad}");
        }
    }
}

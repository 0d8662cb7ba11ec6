//! Target groups and their health checks.

use std::time::Duration;

use super::settings::Settings;
use crate::{
    doctor::{
        attributes::Attributes,
        setting::Setting,
        system::{HealthCheck, TargetGroup},
    },
    model::{
        self, HealthCheckProtocol, LoadBalancerType, TargetGroupProtocol,
        attributes::Resource,
        target_group::{Matcher, TargetId},
    },
};

/// Whose defaults hold where ELB has none for every kind of group.
const ELB: &str = "ELB";

pub(super) fn convert(settings: &Settings<'_>, index: usize, group: &model::TargetGroup) -> TargetGroup {
    let at = format!("target_groups[{index}]");
    let kind = match group.protocol {
        TargetGroupProtocol::Http | TargetGroupProtocol::Https => LoadBalancerType::Application,
        TargetGroupProtocol::Tcp | TargetGroupProtocol::Tls => LoadBalancerType::Network,
    };
    let mut attributes = Attributes::new(Resource::TargetGroup, kind);
    settings.give(&mut attributes, settings.loaded.attributes.target_group(index), &at);
    let version = (kind == LoadBalancerType::Application).then(|| group.protocol_version.as_str().to_owned());
    let target_type = group.target_type.as_str().to_owned();
    // A host name stands for as many targets as it has addresses.
    let by_name = group.targets.iter().any(|target| matches!(target.id, TargetId::HostName(_)));
    let count = Some(group.targets.len()).filter(|count| *count > 1 || !by_name);
    TargetGroup {
        name: settings.written(group.name.clone(), &at, "name"),
        protocol: Some(settings.written(group.protocol.as_str().to_owned(), &at, "protocol")),
        port: group.port.map(|port| settings.written(port, &at, "port")),
        protocol_version: version.map(|version| settings.or_default(version, &at, "protocol_version", ELB)),
        target_type: Some(settings.or_default(target_type, &at, "target_type", ELB)),
        attributes,
        health_check: health_check(settings, &at, &group.health_check, kind),
        targets: count.map(|count| settings.written(count, &at, "targets")),
    }
}

fn health_check(
    settings: &Settings<'_>,
    at: &str,
    check: &model::HealthCheck,
    kind: LoadBalancerType,
) -> HealthCheck {
    let whose = match kind {
        LoadBalancerType::Application => "an Application Load Balancer",
        LoadBalancerType::Network => "a Network Load Balancer",
    };
    let text = |key: &str, value: &str| {
        settings.or_default(value.to_owned(), at, &format!("health_check.{key}"), whose)
    };
    let seconds = |key: &str, time: Duration| text(key, &format!("{}s", time.as_secs())).map(|_| time);
    let count = |key: &str, count: u8| text(key, &count.to_string()).map(|_| u32::from(count));
    let asks = check.protocol != HealthCheckProtocol::Tcp;
    let of_request = |setting: Setting<String>| asks.then_some(setting);
    HealthCheck {
        protocol: Some(text("protocol", check.protocol.as_str())),
        path: of_request(text("path", &check.path)),
        interval: Some(seconds("interval", check.interval)),
        timeout: Some(seconds("timeout", check.timeout)),
        healthy_threshold: Some(count("healthy_threshold", check.healthy_threshold)),
        unhealthy_threshold: Some(count("unhealthy_threshold", check.unhealthy_threshold)),
        matcher: of_request(text("matcher", &matcher(&check.matcher))),
    }
}

/// `200,204-299`.
fn matcher(Matcher(ranges): &Matcher) -> String {
    let range = |(low, high): &(u16, u16)| {
        if low == high { low.to_string() } else { format!("{low}-{high}") }
    };
    ranges.iter().map(range).collect::<Vec<_>>().join(",")
}

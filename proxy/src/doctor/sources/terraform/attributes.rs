//! The provider's arguments and the attributes of ELB that they set.

use super::{super::aws::item::Item, PROVIDER};
use crate::{
    doctor::{attributes::Attributes, document::hcl::UNKNOWN, setting::Setting},
    model::attributes::{Resource, of},
};

/// Of `aws_lb`.
const LOAD_BALANCER: &[(&str, &str)] = &[
    ("idle_timeout", "idle_timeout.timeout_seconds"),
    ("client_keep_alive", "client_keep_alive.seconds"),
    ("enable_http2", "routing.http2.enabled"),
    ("drop_invalid_header_fields", "routing.http.drop_invalid_header_fields.enabled"),
    ("preserve_host_header", "routing.http.preserve_host_header.enabled"),
    ("xff_header_processing_mode", "routing.http.xff_header_processing.mode"),
    ("enable_xff_client_port", "routing.http.xff_client_port.enabled"),
    (
        "enable_tls_version_and_cipher_suite_headers",
        "routing.http.x_amzn_tls_version_and_cipher_suite.enabled",
    ),
    ("desync_mitigation_mode", "routing.http.desync_mitigation_mode"),
    ("enable_cross_zone_load_balancing", "load_balancing.cross_zone.enabled"),
    ("enable_deletion_protection", "deletion_protection.enabled"),
    ("enable_waf_fail_open", "waf.fail_open.enabled"),
    ("enable_zonal_shift", "zonal_shift.config.enabled"),
    ("dns_record_client_routing_policy", "dns_record.client_routing_policy"),
    ("access_logs.enabled", "access_logs.s3.enabled"),
    ("access_logs.bucket", "access_logs.s3.bucket"),
    ("access_logs.prefix", "access_logs.s3.prefix"),
    ("connection_logs.enabled", "connection_logs.s3.enabled"),
    ("connection_logs.bucket", "connection_logs.s3.bucket"),
    ("connection_logs.prefix", "connection_logs.s3.prefix"),
    ("health_check_logs.enabled", "health_check_logs.s3.enabled"),
    ("health_check_logs.bucket", "health_check_logs.s3.bucket"),
    ("health_check_logs.prefix", "health_check_logs.s3.prefix"),
];

/// Of `aws_lb_target_group`.
const TARGET_GROUP: &[(&str, &str)] = &[
    ("deregistration_delay", "deregistration_delay.timeout_seconds"),
    ("slow_start", "slow_start.duration_seconds"),
    ("load_balancing_algorithm_type", "load_balancing.algorithm.type"),
    ("load_balancing_anomaly_mitigation", "load_balancing.algorithm.anomaly_mitigation"),
    ("load_balancing_cross_zone_enabled", "load_balancing.cross_zone.enabled"),
    ("lambda_multi_value_headers_enabled", "lambda.multi_value_headers.enabled"),
    ("connection_termination", "deregistration_delay.connection_termination.enabled"),
    ("preserve_client_ip", "preserve_client_ip.enabled"),
    ("proxy_protocol_v2", "proxy_protocol_v2.enabled"),
    ("stickiness.enabled", "stickiness.enabled"),
    ("stickiness.type", "stickiness.type"),
    ("stickiness.cookie_name", "stickiness.app_cookie.cookie_name"),
    (
        "target_health_state.enable_unhealthy_connection_termination",
        "target_health_state.unhealthy.connection_termination.enabled",
    ),
    (
        "target_health_state.unhealthy_draining_interval",
        "target_health_state.unhealthy.draining_interval_seconds",
    ),
    (
        "target_group_health.dns_failover.minimum_healthy_targets_count",
        "target_group_health.dns_failover.minimum_healthy_targets.count",
    ),
    (
        "target_group_health.dns_failover.minimum_healthy_targets_percentage",
        "target_group_health.dns_failover.minimum_healthy_targets.percentage",
    ),
    (
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets_count",
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
    ),
    (
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets_percentage",
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
    ),
];

/// Gives what arguments of a resource say.
pub(super) fn give(item: &Item<'_>, attributes: &mut Attributes) {
    match attributes.resource() {
        Resource::LoadBalancer => given(item, attributes, LOAD_BALANCER.iter().copied()),
        Resource::TargetGroup => {
            given(item, attributes, TARGET_GROUP.iter().copied());
            stickiness(item, attributes);
        }
        Resource::Listener => {
            // `tcp.idle_timeout.seconds` → `tcp_idle_timeout_seconds`, and so all of them.
            let names: Vec<_> =
                of(Resource::Listener).map(|row| (row.key.replace('.', "_"), row.key)).collect();
            given(item, attributes, names.iter().map(|(name, key)| (name.as_str(), *key)));
        }
    }
}

fn given<'a>(item: &Item<'_>, attributes: &mut Attributes, names: impl Iterator<Item = (&'a str, &'a str)>) {
    for (argument, key) in names {
        let row = of(attributes.resource()).find(|row| row.key == key);
        // A state lists the arguments of all types with their defaults.
        let exists = row.is_some_and(|row| row.applies_to.includes(attributes.kind()));
        // Application Load Balancers always do, whatever the argument says.
        let fixed = key == "load_balancing.cross_zone.enabled"
            && attributes.resource() == Resource::LoadBalancer
            && matches!(attributes.kind(), crate::model::LoadBalancerType::Application);
        if let Some(setting) = at(item, argument).filter(|_| exists && !fixed) {
            attributes.give(key, setting);
        }
    }
}

/// An argument of a resource or of a block in it.
fn at(item: &Item<'_>, argument: &str) -> Option<Setting<String>> {
    match argument.split_once('.') {
        Some((block, argument)) => at(&item.get(block)?, argument),
        // What is left empty says nothing.
        None => item.text(argument).filter(|setting| !setting.value.is_empty()),
    }
}

/// `stickiness`: a block without `enabled` switches it on; one duration serves both kinds of cookies.
fn stickiness(item: &Item<'_>, attributes: &mut Attributes) {
    let Some(block) = item.get("stickiness") else { return };
    if block.text("enabled").is_none() {
        let on = Setting::default_of(PROVIDER, "true".to_owned(), &block.key("enabled"), "true");
        attributes.give("stickiness.enabled", on);
    }
    let Some(duration) = block.text("cookie_duration") else { return };
    let kind = block.text("type").map(|kind| kind.value).unwrap_or_default();
    let unknown = kind.contains(UNKNOWN);
    for (cookie, key) in [
        ("lb_cookie", "stickiness.lb_cookie.duration_seconds"),
        ("app_cookie", "stickiness.app_cookie.duration_seconds"),
    ] {
        if unknown || kind == cookie {
            attributes.give(key, duration.clone());
        }
    }
}

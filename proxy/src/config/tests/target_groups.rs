//! What people get wrong in target groups and attributes, and what they are told.

use super::{check, https_listener, load, load_balancer_attributes, target_group};
use crate::model::{
    HealthCheckProtocol, Model, TargetGroupProtocol,
    target_group::{Matcher, ProtocolVersion},
};

/// A configuration whose HTTPS listener forwards to the group `web` with `settings`.
fn behind_https(settings: &str) -> String {
    https_listener("certificates: [main]\ndefault_actions: [{ forward: { target_group: web } }]")
        .replace("protocol: HTTP, port: 8080", &format!("{settings}, port: 8080"))
}

fn model(yaml: &str) -> Model {
    load(yaml).unwrap_or_else(|error| panic!("{error} in\n{yaml}")).model
}

#[test]
fn protocols_and_the_health_checks_that_go_with_them() {
    #[track_caller]
    fn check(settings: &str, protocol: TargetGroupProtocol, version: ProtocolVersion, check: (&str, u16)) {
        let model = model(&behind_https(settings));
        let group = &model.target_groups[0];
        assert_eq!((group.protocol, group.protocol_version), (protocol, version));
        let (path, code) = check;
        assert_eq!(group.health_check.path, path);
        assert_eq!(group.health_check.protocol_version, version);
        assert_eq!(group.health_check.matcher, Matcher(vec![(code, code)]));
        assert_eq!(group.health_check.protocol, HealthCheckProtocol::Http, "the default");
    }
    use ProtocolVersion::{Grpc, Http1, Http2};
    use TargetGroupProtocol::{Http, Https};
    check("protocol: HTTPS", Https, Http1, ("/", 200));
    check("protocol: HTTPS, protocol_version: HTTP1", Https, Http1, ("/", 200));
    check("protocol: HTTP, protocol_version: HTTP2", Http, Http2, ("/", 200));
    check("protocol: HTTPS, protocol_version: GRPC", Https, Grpc, ("/AWS.ALB/healthcheck", 12));
    let own = "protocol: HTTP, protocol_version: GRPC, health_check: { path: /a.B/c, matcher: 0 }";
    check(own, Http, Grpc, ("/a.B/c", 0));
}

#[test]
fn health_checks_over_tls_use_the_policy_towards_targets() {
    let model = model(&behind_https("protocol: HTTPS, health_check: { protocol: HTTPS }"));
    let check = &model.target_groups[0].health_check;
    assert_eq!(check.protocol, HealthCheckProtocol::Https);
    assert_eq!(check.tls_policy.name, "ELBSecurityPolicy-TLS13-1-0-PQ-2025-09");
}

#[test]
fn http2_and_grpc_groups_need_https_listeners_and_nothing_but_forward() {
    let forward = "load_balancers[0].listeners[0].default_actions";
    for version in ["HTTP2", "GRPC"] {
        check(
            &target_group(&format!("protocol: HTTP\nprotocol_version: {version}")),
            &[&format!(
                "{forward}[0].forward.target_group: Listener protocol 'HTTP' is not supported with a target group with the protocol-version '{version}'"
            )],
        );
        let settings = format!("protocol: HTTP, protocol_version: {version}");
        check(&behind_https(&settings), &[]);
        let with_jwt = behind_https(&settings).replace(
            "default_actions: [",
            "default_actions: [{ jwt_validation: { issuer: 'https://i', jwks_endpoint: 'https://i/k' } }, ",
        );
        let expected = format!(
            "{forward}[0].jwt_validation: Action type 'jwt-validation' is not supported with a target group with the protocol-version '{version}'"
        );
        assert!(super::errors(&with_jwt).contains(&expected), "{:?}", super::errors(&with_jwt));
    }
    let at = "target_groups[0].health_check.matcher";
    check(
        &behind_https("protocol: HTTP, protocol_version: GRPC, health_check: { matcher: 200 }"),
        &[&format!(
            "{at}: Health check matcher '200' must be codes from '0-99', such as '0', '0,12' or '0-99'"
        )],
    );
}

#[test]
fn health_checks() {
    let at = "target_groups[0].health_check";
    let group = |settings: &str| target_group(&format!("protocol: HTTP\nhealth_check: {{ {settings} }}"));
    for good in [
        "port: traffic-port",
        "interval: 5s, timeout: 2s",
        "matcher: 200-499",
        "interval: 5m, timeout: 2m",
        "matcher: '200, 202'",
    ] {
        check(&group(good), &[]);
    }
    for (bad, expected) in [
        ("interval: 5s", ".timeout: Health check timeout '5' must be smaller than the interval '5'"),
        (
            "interval: 4s, timeout: 2s",
            ".interval: Health check interval '4' must be between '5-300' seconds inclusive",
        ),
        ("timeout: 121s", ".timeout: Health check timeout '121' must be between '2-120' seconds inclusive"),
        ("timeout: 2500ms", ".timeout: Health check timeout must be a whole number of seconds"),
        (
            "interval: 30",
            ".interval: invalid type: integer `30`, expected a duration with its unit, such as 30s, 5m or 500ms",
        ),
        (
            "healthy_threshold: 1",
            ".healthy_threshold: Healthy threshold '1' must be between '2-10' inclusive",
        ),
        (
            "unhealthy_threshold: 11",
            ".unhealthy_threshold: Unhealthy threshold '11' must be between '2-10' inclusive",
        ),
        ("path: up", ".path: Health check path 'up' must begin with a '/' character"),
        ("port: 0", ".port: Health check port '0' must be 'traffic-port' or in the range '1-65535'"),
        (
            "matcher: 500",
            ".matcher: Health check matcher '500' must be codes from '200-499', such as '200', '200,202' or '200-299'",
        ),
        (
            "matcher: 299-200",
            ".matcher: Health check matcher '299-200' must be codes from '200-499', such as '200', '200,202' or '200-299'",
        ),
        ("enabled: false", ".enabled: health checks are always enabled for targets of type ip"),
        ("protocol: TCP", ".protocol: Health check protocol 'TCP' must be one of 'HTTP, HTTPS'"),
    ] {
        check(&group(bad), &[&format!("{at}{expected}")]);
    }
}

#[test]
fn targets() {
    let at = "target_groups[0].targets";
    let group = |targets: &str| target_group(&format!("protocol: HTTP\ntargets: {targets}"));
    check(&group("[{ id: a, port: 80 }, { id: a, port: 81 }]"), &[]);
    check(
        &group("[{ id: a, port: 80 }, { id: a, port: 80 }]"),
        &[&format!("{at}[1]: the same id and port are registered twice")],
    );
    check(&group("[{ id: a }]"), &[&format!("{at}[0].port: is missing")]);
    check(&group("[{ port: 1 }]"), &[&format!("{at}[0].id: is missing")]);
    check(
        &group("[{ id: 10.0.0.300, port: 1 }]"),
        &[&format!("{at}[0].id: '10.0.0.300' is neither an IP address nor a host name")],
    );
    check(
        &group("[{ id: a, port: 65536 }]"),
        &[&format!("{at}[0].port: port '65536' must be between '1-65535' inclusive")],
    );
    check(
        &group("[{ id: a, port: -1 }]"),
        &[&format!("{at}[0].port: invalid type: integer `-1`, expected a whole number")],
    );
    check(&group("{ id: a }"), &[&format!("{at}: invalid type: a map, expected a list")]);
}

#[test]
fn attributes_speak_the_words_of_aws() {
    let at = "target_groups[0].attributes";
    let group = |attributes: &str| target_group(&format!("protocol: HTTP\nattributes: {{ {attributes} }}"));
    for (bad, expected) in [
        (
            "deregistration_delay.timeout_seconds: 3601",
            ".deregistration_delay.timeout_seconds: 'deregistration_delay.timeout_seconds' value '3601' must be between '0-3600' inclusive",
        ),
        (
            "stickiness.enabled: yes",
            ".stickiness.enabled: 'stickiness.enabled' value 'yes' must be one of 'true, false'",
        ),
        (
            "stickyness.enabled: true",
            ".stickyness.enabled: 'stickyness.enabled' is not a known attribute (did you mean 'stickiness.enabled'?)",
        ),
        ("colour: red", ".colour: 'colour' is not a known attribute"),
        (
            "proxy_protocol_v2.enabled: true",
            ".proxy_protocol_v2.enabled: 'proxy_protocol_v2.enabled' is not supported for application load balancers",
        ),
        (
            "stickiness.type: source_ip",
            ".stickiness.type: Stickiness type 'source_ip' is not supported for target groups with the HTTP protocol",
        ),
        ("stickiness.enabled: ", ".stickiness.enabled: needs a value"),
    ] {
        check(&group(bad), &[&format!("{at}{expected}")]);
    }
    check(
        &load_balancer_attributes("access_logs.s3.enabled: true, load_balancing.cross_zone.enabled: false"),
        &[
            "load_balancers[0].attributes.access_logs.s3.bucket: is missing",
            "load_balancers[0].attributes.load_balancing.cross_zone.enabled: cross-zone load balancing is always on for application load balancers",
        ],
    );
}

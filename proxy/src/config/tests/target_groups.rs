//! What people get wrong in target groups and attributes, and what they are told.

use super::{check, load_balancer_attributes, target_group};

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
        ("interval: 4s, timeout: 2s", ".interval: '4' seconds must be between '5-300' inclusive"),
        ("timeout: 121s", ".timeout: '121' seconds must be between '2-120' inclusive"),
        ("timeout: 2500ms", ".timeout: must be a whole number of seconds"),
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

//! Target groups of network load balancers: who forwards to them, their health checks and attributes.

use std::time::Duration;

use super::{FORWARD, LISTENER, TLS, group, model, network};
use crate::{
    config::tests::check,
    model::{
        HealthCheck, HealthCheckProtocol, Model,
        target_group::{FlowAttributes, Matcher, Stickiness},
    },
};

#[test]
fn listeners_forward_to_groups_whose_protocol_goes_with_theirs() {
    let at = format!("{LISTENER}.default_actions[0].forward.target_group");
    let pair = |listener: &str, group: &str| {
        network(&format!("{listener}, {FORWARD}"), &format!("protocol: {group}"), "protocol: TCP")
    };
    for (listener, group) in [("protocol: TCP", "TCP"), (TLS, "TCP"), (TLS, "TLS")] {
        check(&pair(listener, group), &[]);
    }
    for (listener, name, group) in
        [("protocol: TCP", "TCP", "TLS"), ("protocol: TCP", "TCP", "HTTP"), (TLS, "TLS", "HTTPS")]
    {
        let message =
            format!("{name} listeners cannot forward to target group \"flows\" with protocol {group}");
        check(&pair(listener, group), &[&format!("{at}: {message}")]);
    }
    let sticky = "protocol: TCP, attributes: { stickiness.enabled: true }";
    check(
        &network(&format!("{TLS}, {FORWARD}"), sticky, "protocol: TCP"),
        &[&format!(
            "{at}: TLS listeners cannot forward to target group \"flows\" with stickiness of type 'source_ip'; use a \
             TCP listener, or switch the stickiness off"
        )],
    );
    assert_eq!(model(&group(sticky)).target_groups[0].attributes.stickiness, Some(Stickiness::SourceIp));
}

#[test]
fn health_checks_default_to_tcp_and_each_protocol_has_its_timeout() {
    use HealthCheckProtocol::{Http, Https, Tcp};
    for (settings, protocol, timeout) in [
        ("", Tcp, 10),
        ("protocol: TCP", Tcp, 10),
        ("protocol: HTTP", Http, 6),
        ("protocol: HTTPS", Https, 10),
    ] {
        let model = model(&group(&format!("protocol: TCP, health_check: {{ {settings} }}")));
        let expected = HealthCheck {
            protocol,
            timeout: Duration::from_secs(timeout),
            matcher: Matcher(vec![(200, 399)]),
            host: (protocol != Tcp).then(|| "0.0.0.0:33335".parse().unwrap()),
            ..HealthCheck::default()
        };
        assert_eq!(model.target_groups[0].health_check, expected);
    }
}

#[test]
fn health_checks_have_their_own_limits() {
    let at = "target_groups[0].health_check";
    let with = |check: &str| group(&format!("protocol: TCP, health_check: {{ {check} }}"));
    for good in [
        "interval: 10s",
        "interval: 5s, timeout: 5s",
        "protocol: HTTP, path: /up, matcher: 200-599",
        "protocol: HTTPS, port: 9443, interval: 11s",
    ] {
        check(&with(good), &[]);
    }
    let tcp = "is not for TCP health checks";
    check(&with("path: up, matcher: 1"), &[&format!("{at}.path: {tcp}"), &format!("{at}.matcher: {tcp}")]);
    for (bad, expected) in [
        (
            "interval: 5s",
            ".timeout: Health check timeout '10' must be smaller than or equal to the interval '5'",
        ),
        (
            "protocol: HTTP, interval: 6s",
            ".timeout: Health check timeout '6' must be smaller than the interval '6'",
        ),
        ("protocol: UDP", ".protocol: Health check protocol 'UDP' must be one of 'TCP, HTTP, HTTPS'"),
        (
            "protocol: HTTP, matcher: 600",
            ".matcher: Health check matcher '600' must be codes from '200-599', such as '200', '200,202' or '200-299'",
        ),
        ("enabled: false", ".enabled: health checks are always enabled for targets of type ip"),
    ] {
        check(&with(bad), &[&format!("{at}{expected}")]);
    }
    let version = "protocol: TCP, protocol_version: HTTP2";
    check(
        &group(version),
        &["target_groups[0].protocol_version: is not for target groups with protocol TCP"],
    );
}

#[test]
fn checks_name_the_first_listener_and_carry_the_header_of_the_group() {
    let http = "health_check: { protocol: HTTP }, attributes: { proxy_protocol_v2.enabled: true }";
    let yaml = network(
        "address: 127.0.0.7, protocol: TCP, default_actions: [{ forward: { target_groups: \
         [{ target_group: flows }, { target_group: others }] } }]",
        &format!("protocol: TCP, {http}"),
        "protocol: TCP, health_check: { protocol: HTTP }",
    );
    let second = yaml.replace("33335,", "33335, address: '::', ").replace("address: 127.0.0.7, ", "");
    let model_of = model(&yaml);
    let check = |model: &Model, index: usize| model.target_groups[index].health_check.clone();
    assert_eq!(check(&model_of, 0).host.unwrap().to_string(), "127.0.0.7:33335");
    assert!(check(&model_of, 0).proxy_protocol_v2 && !check(&model_of, 1).proxy_protocol_v2);
    assert_eq!(check(&model(&second), 1).host.unwrap().to_string(), "[::]:33335");
    let unused = group("protocol: TCP")
        .replace("9002, protocol: TCP", "9002, protocol: TCP, health_check: { protocol: HTTP }");
    assert_eq!(check(&model(&unused), 1).host, None);
}

#[test]
fn attributes_of_flows_become_typed() {
    let attributes = "deregistration_delay.connection_termination.enabled: true, preserve_client_ip.enabled: true, \
                      proxy_protocol_v2.enabled: true, \
                      target_health_state.unhealthy.connection_termination.enabled: false, \
                      target_health_state.unhealthy.draining_interval_seconds: 360000";
    let flows = &model(&group(&format!("protocol: TCP, attributes: {{ {attributes} }}"))).target_groups[0];
    let expected = FlowAttributes {
        deregistration_termination: true,
        preserve_client_ip: true,
        proxy_protocol_v2: true,
        unhealthy_termination: false,
        unhealthy_draining_interval: Duration::from_secs(360_000),
    };
    assert_eq!(flows.attributes.flows, expected);
    let draining = "target_health_state.unhealthy.draining_interval_seconds";
    for (attribute, key, expected) in [
        (
            "stickiness.type: lb_cookie".to_owned(),
            "stickiness.type",
            "Stickiness type 'lb_cookie' is not supported for target groups with the TCP protocol",
        ),
        (
            format!("{draining}: 5"),
            draining,
            "needs 'target_health_state.unhealthy.connection_termination.enabled' to be 'false'",
        ),
        (
            "slow_start.duration_seconds: 30".to_owned(),
            "slow_start.duration_seconds",
            "'slow_start.duration_seconds' is not supported for network load balancers",
        ),
    ] {
        let yaml = group(&format!("protocol: TCP, attributes: {{ {attribute} }}"));
        check(&yaml, &[&format!("target_groups[0].attributes.{key}: {expected}")]);
    }
}

//! Network load balancers, good and bad.

mod listeners;
mod target_groups;

use std::{fmt::Write as _, time::Duration};

use super::{check, errors, load};
use crate::{
    config::summary,
    model::{
        Action, Listener, ListenerProtocol, Model, TargetGroupIndex, TargetGroupProtocol,
        listener::ProxyProtocol,
        rule::{Actions, Forward},
        target_group::{Algorithm, FlowAttributes},
    },
};

const LISTENER: &str = "load_balancers[0].listeners[0]";
const TLS: &str = "protocol: TLS, certificates: [main]";
const FORWARD: &str = "default_actions: [{ forward: { target_group: flows } }]";

/// A network load balancer with one listener of these settings, and two groups of these settings.
fn network(listener: &str, flows: &str, others: &str) -> String {
    format!(
        "certificates: [{{ name: main, certificate: cert.pem, private_key: key.pem }}]
load_balancers:
  - name: edge
    type: network
    listeners: [{{ port: 33335, {listener} }}]
target_groups:
  - {{ name: flows, port: 9001, {flows} }}
  - {{ name: others, port: 9002, {others} }}
"
    )
}

/// As [`network`], with a listener that forwards to the first of two groups with protocol TCP.
fn forwarding(listener: &str) -> String {
    network(&format!("{listener}, {FORWARD}"), "protocol: TCP", "protocol: TCP")
}

/// As [`network`], with a TCP listener that forwards to a group of these settings.
fn group(settings: &str) -> String {
    network(&format!("protocol: TCP, {FORWARD}"), settings, "protocol: TCP")
}

#[track_caller]
fn model(yaml: &str) -> Model {
    load(yaml).unwrap_or_else(|errors| panic!("{errors}\nin\n{yaml}")).model
}

fn listener(yaml: &str) -> Listener {
    model(yaml).load_balancers[0].listeners[0].clone()
}

#[test]
fn the_shortest_file_takes_every_default() {
    let model = model(&forwarding("protocol: TCP"));
    let (load_balancer, group) = (&model.load_balancers[0], &model.target_groups[0]);
    let listener = &load_balancer.listeners[0];
    assert_eq!((listener.protocol, &listener.tls), (ListenerProtocol::Tcp, &None));
    assert_eq!(listener.bind.to_string(), "0.0.0.0:33335");
    assert_eq!(listener.attributes.tcp_idle_timeout, Duration::from_secs(350));
    assert_eq!(listener.attributes.proxy_protocol, ProxyProtocol::default());
    let forward = Actions::from(Action::Forward(Forward::to(TargetGroupIndex(0))));
    assert_eq!((&listener.default_actions, listener.rules.len()), (&forward, 0));
    assert_eq!(group.protocol, TargetGroupProtocol::Tcp);
    assert_eq!(group.attributes.algorithm, Algorithm::FlowHash);
    assert_eq!((&group.attributes.stickiness, &group.attributes.flows), (&None, &FlowAttributes::default()));
}

#[test]
fn names_in_arns_and_logs_begin_with_net() {
    let model = model(&forwarding("protocol: TCP"));
    let load_balancer = &model.load_balancers[0];
    let id = load_balancer.log_name.strip_prefix("net/edge/").unwrap();
    assert_eq!(id.len(), 16);
    let prefix = "arn:aws:elasticloadbalancing:local:000000000000";
    assert_eq!(load_balancer.arn, format!("{prefix}:loadbalancer/net/edge/{id}"));
    let listener = load_balancer.listeners[0].arn.strip_prefix(&format!("{prefix}:listener/net/edge/{id}/"));
    assert_eq!(listener.map(str::len), Some(16));
    assert!(load_balancer.dns_name.starts_with("edge-"), "{}", load_balancer.dns_name);
    assert!(load_balancer.dns_name.ends_with(".elb.local.amazonaws.com"), "{}", load_balancer.dns_name);
    assert_eq!(load_balancer.listeners[0].metric_name(), "TCP:33335");
}

#[test]
fn attributes_of_load_balancers_without_an_effect_are_warned_of() {
    let attributes = "dns_record.client_routing_policy: availability_zone_affinity, \
                      secondary_ips.auto_assigned.per_subnet: 7, ipv6.deny_all_igw_traffic: true, \
                      zonal_shift.config.enabled: true, load_balancing.cross_zone.enabled: true";
    let yaml = forwarding("protocol: TCP")
        .replace("type: network\n", &format!("type: network\n    attributes: {{ {attributes} }}\n"));
    let warnings = load(&yaml).unwrap().warnings;
    let zones = "has no effect: Albeit has no availability zones: every target is in reach of every node";
    let of_load_balancer = warnings.iter().filter(|warning| warning.path.starts_with("load_balancers"));
    let messages: Vec<_> = of_load_balancer
        .map(|it| (it.path.strip_prefix("load_balancers[0].attributes.").unwrap(), it.message.as_str()))
        .collect();
    let mut expected = [
        ("dns_record.client_routing_policy", zones),
        (
            "secondary_ips.auto_assigned.per_subnet",
            "has no effect: the machine's routes choose the source address towards targets",
        ),
        ("ipv6.deny_all_igw_traffic", "has no effect: the machine's firewall decides who may reach it"),
        ("zonal_shift.config.enabled", zones),
        ("load_balancing.cross_zone.enabled", zones),
    ];
    let mut messages = messages;
    messages.sort_unstable();
    expected.sort_unstable();
    assert_eq!(messages, expected);
    let at = "load_balancers[0].attributes.idle_timeout.timeout_seconds";
    let application = yaml.replace(attributes, "idle_timeout.timeout_seconds: 60");
    check(
        &application,
        &[&format!("{at}: 'idle_timeout.timeout_seconds' is not supported for network load balancers")],
    );
}

#[test]
fn a_load_balancer_has_so_many_listeners_certificates_and_targets() {
    let with = |listeners: usize, certificates: usize| {
        let mut yaml = forwarding("protocol: TCP");
        let mut list = String::new();
        for port in 1..=listeners {
            write!(list, "{{ port: {port}, protocol: TCP, {FORWARD} }}, ").unwrap();
        }
        if certificates > 0 {
            let names = vec!["main"; certificates].join(", ");
            write!(list, "{{ port: 1000, protocol: TLS, certificates: [{names}], {FORWARD} }}").unwrap();
        }
        let start = yaml.find("[{ port: 33335").unwrap();
        let end = yaml.find("\ntarget_groups").unwrap();
        yaml.replace_range(start..end, &format!("[{list}]"));
        yaml
    };
    let at = "load_balancers[0].listeners: a load balancer can have up to";
    check(&with(50, 0), &[]);
    check(&with(51, 0), &[&format!("{at} 50 listeners, not 51")]);
    check(&with(1, 26), &[]);
    check(&with(1, 27), &[&format!("{at} 25 certificates besides default ones, not 26")]);
    let targets = |count: u16| {
        let targets: Vec<_> = (1..=count).map(|port| format!("{{ id: 10.0.0.1, port: {port} }}")).collect();
        group(&format!("protocol: TCP, targets: [{}]", targets.join(", ")))
    };
    check(&targets(500), &[]);
    check(
        &targets(501),
        &[
            "load_balancers[0].listeners: a network load balancer can have up to 500 targets, not 501; an application \
           load balancer counts for 50",
        ],
    );
}

#[test]
fn the_summary_tells_flows_from_requests() {
    let yaml = network(
        "address: 127.0.0.1, protocol: TLS, ssl_policy: ELBSecurityPolicy-TLS13-1-2-Res-2021-06, \
         certificates: [main], alpn_policy: HTTP1Only, attributes: { albeit.proxy_protocol: optional, \
         albeit.proxy_protocol.trusted_cidrs: 10.0.0.0/8 }, default_actions: [{ forward: { target_groups: \
         [{ target_group: flows, weight: 3 }, { target_group: others }] } }]",
        "protocol: TLS, attributes: { proxy_protocol_v2.enabled: true }, targets: [{ id: 10.0.0.1 }]",
        "protocol: TCP, health_check: { protocol: HTTPS, path: /up }",
    );
    insta::assert_snapshot!(summary(&model(&yaml)), @r"
    load balancer edge (network)
      TLS on 127.0.0.1:33335, ELBSecurityPolicy-TLS13-1-2-Res-2021-06, certificates main, ALPN HTTP1Only, PROXY protocol optional from 10.0.0.0/8, default: forward to flows (3 of 4), others (1 of 4)
    target group flows: TLS, health check TCP every 30 s, PROXY protocol v2
      10.0.0.1:9001
    target group others: TCP, health check HTTPS /up every 30 s
    admin API on 127.0.0.1:9901
    ");
    let sticky = group("protocol: TCP, attributes: { stickiness.enabled: true }");
    assert!(
        summary(&model(&sticky))
            .contains("target group flows: TCP, health check TCP every 30 s, source_ip\n")
    );
}

proptest::proptest! {
    #[test]
    fn no_combination_of_settings_makes_parsing_panic(
        protocol in proptest::sample::select(vec!["TCP", "TLS", "UDP", "HTTP", "QUIC", "''"]),
        target_type in proptest::sample::select(vec!["ip", "alb", "lambda", "''"]),
        check in proptest::sample::select(vec!["TCP", "HTTP", "HTTPS", "''"]),
        id in proptest::sample::select(vec!["edge", "web", "10.0.0.1", "arn:aws", "''"]),
        port in proptest::sample::select(vec!["80", "0", "443", "65536"]),
        stickiness in proptest::bool::ANY,
    ) {
        let group = format!(
            "protocol: {protocol}, target_type: {target_type}, health_check: {{ protocol: {check} }}, \
             attributes: {{ stickiness.enabled: {stickiness} }}, targets: [{{ id: {id}, port: {port} }}]"
        );
        let yaml = network(&format!("protocol: {protocol}, certificates: [main], {FORWARD}"), &group, &group);
        for mistake in errors(&yaml) {
            proptest::prop_assert!(!mistake.contains('\n'), "{mistake}");
        }
    }
}

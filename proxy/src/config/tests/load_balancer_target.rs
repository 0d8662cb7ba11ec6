//! Network load balancers in front of application load balancers of the same file.

use std::fmt::Write as _;

use super::{check, load};
use crate::model::{
    HealthCheckProtocol, Model, Target, TargetType,
    target_group::{FlowAttributes, Matcher, TargetId},
};

const GROUP: &str = "target_groups[0]";
const CHECK: &str = "health_check: { protocol: HTTP }";

/// A network load balancer whose group has these settings, and after it an application load balancer with
/// listeners for HTTP on port 80 of these settings, and for HTTPS on port 443 of the second address.
fn file(group: &str, http: &str, https_address: &str) -> String {
    format!(
        "certificates: [{{ name: main, certificate: cert.pem, private_key: key.pem }}]
target_groups:
  - {{ name: to-web, target_type: alb, {group} }}
load_balancers:
  - name: edge
    type: network
    listeners: [{{ port: 33335, protocol: TCP, default_actions: [{{ forward: {{ target_group: to-web }} }}] }}]
  - name: web
    listeners:
      - {{ port: 80, protocol: HTTP, default_actions: [{{ fixed_response: {{ status_code: 200 }} }}], {http} }}
      - port: 443
        address: '{https_address}'
        protocol: HTTPS
        ssl_policy: ELBSecurityPolicy-TLS13-1-2-Res-2021-06
        certificates: [main]
        default_actions: [{{ fixed_response: {{ status_code: 200 }} }}]
"
    )
}

fn group(settings: &str) -> String {
    file(settings, "address: 127.0.0.9", "::")
}

#[track_caller]
fn model(yaml: &str) -> Model {
    load(yaml).unwrap_or_else(|errors| panic!("{errors}\nin\n{yaml}")).model
}

#[track_caller]
fn target(yaml: &str, expected: &str) {
    let model = model(yaml);
    let group = &model.target_groups[0];
    assert_eq!(group.target_type, TargetType::Alb);
    let [Target { id: TargetId::LoadBalancer { name, address }, port }] = group.targets.as_slice() else {
        panic!("{:?}", group.targets);
    };
    assert_eq!(format!("{name} {address} {port}"), expected);
}

#[test]
fn a_target_is_the_listener_of_a_load_balancer_that_may_come_later() {
    target(&group("protocol: TCP, targets: [{ id: web, port: 80 }]"), "web 127.0.0.9 80");
    target(&group("protocol: TCP, port: 443, targets: [{ id: web }]"), "web ::1 443");
    target(&group("protocol: TCP, port: 443, targets: [{ id: web, port: 80 }]"), "web 127.0.0.9 80");
    target(&file("protocol: TCP, targets: [{ id: web, port: 80 }]", "", "::1"), "web 127.0.0.1 80");
    let arn = model(&group("protocol: TCP, targets: [{ id: web, port: 80 }]")).load_balancers[1].arn.clone();
    target(&group(&format!("protocol: TCP, port: 80, targets: [{{ id: '{arn}' }}]")), "web 127.0.0.9 80");
    // A network load balancer of the same name is another load balancer.
    let twins = group("protocol: TCP, targets: [{ id: web, port: 80 }]").replace("name: edge", "name: web");
    target(
        &twins.replace("  - name: web\n    listeners", "  - name: web\n    type: application\n    listeners"),
        "web 127.0.0.9 80",
    );
}

#[test]
fn clients_addresses_are_preserved_and_checks_are_requests() {
    let model = model(&group("protocol: TCP, targets: [{ id: web, port: 80 }]"));
    let group = &model.target_groups[0];
    assert_eq!(
        group.attributes.flows,
        FlowAttributes { preserve_client_ip: true, ..FlowAttributes::default() }
    );
    let check = &group.health_check;
    assert_eq!(
        (check.protocol, check.path.as_str(), check.timeout.as_secs()),
        (HealthCheckProtocol::Http, "/", 6)
    );
    assert_eq!(check.matcher, Matcher(vec![(200, 399)]));
    assert_eq!(check.host.unwrap().to_string(), "0.0.0.0:33335");
}

#[test]
fn the_target_is_exactly_one() {
    let at = format!("{GROUP}.targets");
    for (targets, count) in
        [("", 0), ("targets: []", 0), ("targets: [{ id: web }, { id: web, port: 443 }]", 2)]
    {
        check(
            &group(&format!("protocol: TCP, port: 80, {targets}")),
            &[&format!("{at}: must be one application load balancer, not {count} targets")],
        );
    }
    check(&group("protocol: TCP, targets: [{ port: 80 }]"), &[&format!("{at}[0].id: is missing")]);
    check(&group("protocol: TCP, targets: [{ id: web }]"), &[&format!("{at}[0].port: is missing")]);
    check(
        &group(
            "protocol: TCP, targets: [{ id: web, port: 80, availability_zone: all, quic_server_id: '0x1' }]",
        ),
        &[
            &format!("{at}[0].availability_zone: is not for targets of type alb"),
            &format!("{at}[0].quic_server_id: is not for targets of type alb"),
        ],
    );
}

#[test]
fn the_target_is_an_application_load_balancer_of_the_file() {
    let at = format!("{GROUP}.targets[0].id");
    let to = |id: &str| group(&format!("protocol: TCP, targets: [{{ id: '{id}', port: 80 }}]"));
    check(&to("weg"), &[&format!("{at}: no application load balancer \"weg\" (have: web)")]);
    check(&to("10.0.0.1"), &[&format!("{at}: no application load balancer \"10.0.0.1\" (have: web)")]);
    check(
        &to("edge"),
        &[&format!(
            "{at}: \"edge\" is a network load balancer; the target must be an application load balancer"
        )],
    );
    // One with mistakes of its own is there all the same.
    check(
        &to("web").replace("port: 443\n", "port: 0\n"),
        &["load_balancers[1].listeners[1].port: port '0' must be between '1-65535' inclusive"],
    );
}

#[test]
fn its_port_and_that_of_the_group_are_a_listeners() {
    let none = |port: u16| {
        format!("application load balancer \"web\" has no listener on port {port} (have: 80, 443)")
    };
    check(
        &group("protocol: TCP, targets: [{ id: web, port: 81 }]"),
        &[&format!("{GROUP}.targets[0].port: {}", none(81))],
    );
    check(
        &group("protocol: TCP, port: 82, targets: [{ id: web, port: 81 }]"),
        &[&format!("{GROUP}.port: {}", none(82)), &format!("{GROUP}.targets[0].port: {}", none(81))],
    );
    check(
        &group("protocol: TCP, port: 82, targets: [{ id: web }]"),
        &[&format!("{GROUP}.port: {}", none(82))],
    );
}

#[test]
fn the_listener_must_not_require_a_header() {
    let with = |mode: &str| {
        let attributes = format!(
            "attributes: {{ albeit.proxy_protocol: {mode}, albeit.proxy_protocol.trusted_cidrs: 127.0.0.0/8 }}"
        );
        file("protocol: TCP, targets: [{ id: web, port: 80 }]", &attributes, "::")
    };
    check(&with("optional"), &[]);
    check(
        &with("required"),
        &[&format!(
            "{GROUP}.targets[0].id: the listener on port 80 of application load balancer \"web\" requires a PROXY \
             protocol header, and network load balancers send none to targets of type alb: set its \
             'albeit.proxy_protocol' to 'optional'"
        )],
    );
}

#[test]
fn groups_are_of_protocol_tcp_behind_tcp_listeners() {
    for protocol in ["TLS", "HTTP", "HTTPS"] {
        check(
            &group(&format!("protocol: {protocol}, targets: [{{ id: web, port: 80 }}], {CHECK}")),
            &[&format!("{GROUP}.protocol: must be TCP for targets of type alb, not {protocol}")],
        );
    }
    let behind_tls = group("protocol: TCP, targets: [{ id: web, port: 80 }]")
        .replace("33335, protocol: TCP", "33335, protocol: TLS, certificates: [main]");
    check(
        &behind_tls,
        &[
            "load_balancers[0].listeners[0].default_actions[0].forward.target_group: TLS listeners cannot forward to \
           target group \"to-web\" with target type alb; use a TCP listener, and an HTTPS listener of the application \
           load balancer",
        ],
    );
}

#[test]
fn health_checks_are_requests_and_attributes_stay_as_they_are() {
    let with =
        |settings: &str| group(&format!("protocol: TCP, targets: [{{ id: web, port: 80 }}], {settings}"));
    check(
        &with("health_check: { protocol: TCP }"),
        &[&format!(
            "{GROUP}.health_check.protocol: Health check protocol 'TCP' must be one of 'HTTP, HTTPS'"
        )],
    );
    check(
        &with("health_check: { enabled: false }"),
        &[&format!("{GROUP}.health_check.enabled: health checks are always enabled for targets of type alb")],
    );
    check(&with("health_check: { matcher: 200-599, path: /up }"), &[]);
    check(&with("attributes: { preserve_client_ip.enabled: true, stickiness.enabled: false }"), &[]);
    for (key, value, default) in [
        ("preserve_client_ip.enabled", "false", "true"),
        ("proxy_protocol_v2.enabled", "true", "false"),
        ("deregistration_delay.timeout_seconds", "0", "300"),
    ] {
        check(
            &with(&format!("attributes: {{ {key}: {value} }}")),
            &[&format!(
                "{GROUP}.attributes.{key}: cannot be changed for targets of type alb: '{key}' always is '{default}'"
            )],
        );
    }
}

#[test]
fn checks_that_the_listener_does_not_speak_are_warned_of() {
    let warnings = |settings: &str| {
        let yaml = group(&format!("protocol: TCP, targets: [{{ id: web, port: 443 }}], {settings}"));
        let warnings = load(&yaml).unwrap().warnings;
        warnings.into_iter().map(|it| format!("{}: {}", it.path, it.message)).collect::<Vec<_>>()
    };
    let expected = format!(
        "{GROUP}.health_check.protocol: HTTP checks cannot pass: the listener on port 443 of application load balancer \
         \"web\" speaks HTTPS"
    );
    assert_eq!(warnings(""), [expected]);
    assert_eq!(warnings("health_check: { protocol: HTTPS }"), [""; 0]);
    assert_eq!(warnings("health_check: { port: 80 }"), [""; 0]);
    assert_eq!(warnings("health_check: { port: 9000 }"), [""; 0]);
}

#[test]
fn a_load_balancer_is_the_target_of_several_groups_and_of_two_network_load_balancers() {
    let with = |count: usize| {
        let mut groups = String::from("target_groups:\n");
        let mut load_balancers = String::from("load_balancers:\n");
        for n in 0..count {
            for half in ["a", "b"] {
                writeln!(groups, "  - {{ name: g{n}{half}, target_type: alb, protocol: TCP, port: 80, targets: [{{ id: web }}] }}")
                    .unwrap();
            }
            let groups = format!("[{{ target_group: g{n}a }}, {{ target_group: g{n}b }}]");
            writeln!(
                load_balancers,
                "  - {{ name: n{n}, type: network, listeners: [{{ port: {}, protocol: TCP, default_actions: \
                 [{{ forward: {{ target_groups: {groups} }} }}] }}] }}",
                1000 + n
            )
            .unwrap();
        }
        let web = "  - name: web\n    listeners: [{ port: 80, protocol: HTTP, default_actions: [{ fixed_response: { status_code: 200 } }] }]\n";
        format!("{groups}{load_balancers}{web}")
    };
    check(&with(2), &[]);
    check(
        &with(3),
        &[
            "target_groups[4].targets[0].id: application load balancer \"web\" can be the target of up to 2 network load \
           balancers",
        ],
    );
}

#[test]
fn a_load_balancer_counts_for_fifty_targets() {
    let targets: Vec<_> = (1..=451).map(|port| format!("{{ id: 10.0.0.1, port: {port} }}")).collect();
    let yaml = group("protocol: TCP, targets: [{ id: web, port: 80 }]")
        .replace(
            "target_groups:\n",
            &format!(
                "target_groups:\n  - {{ name: many, protocol: TCP, targets: [{}] }}\n",
                targets.join(", ")
            ),
        )
        .replace(
            "{ target_group: to-web }",
            "{ target_groups: [{ target_group: to-web }, { target_group: many }] }",
        );
    check(
        &yaml,
        &[
            "load_balancers[0].listeners: a network load balancer can have up to 500 targets, not 501; an application \
           load balancer counts for 50",
        ],
    );
}

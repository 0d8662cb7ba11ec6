//! What a later version will have is checked, then refused by name.

use super::{check, load_balancer_attributes, target_group};

/// `yaml` is refused for one feature only, at `path`.
#[track_caller]
fn refused(yaml: &str, path: &str, what: &str) {
    check(yaml, &[&format!("{path}: not supported yet: {what}")]);
}

#[test]
fn listener_and_load_balancer_settings() {
    let gateway = load_balancer_attributes("idle_timeout.timeout_seconds: 60")
        .replace("name: edge\n", "name: edge\n    type: gateway\n");
    refused(&gateway, "load_balancers[0].type", "load balancers of type gateway");
}

#[test]
fn target_group_settings() {
    let refused = |settings: &str, key: &str, what: &str| {
        refused(&target_group(settings), &format!("target_groups[0].{key}"), what);
    };
    for kind in ["instance", "lambda", "alb"] {
        let settings = format!("protocol: HTTP\ntarget_type: {kind}");
        refused(&settings, "target_type", &format!("targets of type {kind}"));
    }
    let zone = "protocol: HTTP\nport: 80\ntargets: [{ id: 10.0.0.1, availability_zone: eu-central-1a }]";
    refused(zone, "targets[0].availability_zone", "availability zones");
    let quic = "protocol: HTTP\nport: 80\ntargets: [{ id: 10.0.0.1, quic_server_id: '0x0011223344556677' }]";
    refused(quic, "targets[0].quic_server_id", "QUIC targets");
}

#[test]
fn network_load_balancers_are_checked_and_refused() {
    check(
        "load_balancers:
  - name: edge
    type: network
    attributes: { load_balancing.cross_zone.enabled: true, idle_timeout.timeout_seconds: 60 }
    listeners:
      - { protocol: TCP, port: 33335, default_actions: [{ forward: { target_group: flows } }], attributes: { tcp.idle_timeout.seconds: 350 } }
      - { protocol: UDP, port: 33336, default_actions: [{ forward: { target_group: flows } }] }
      - { protocol: HTTP, port: 80, default_actions: [{ redirect: { port: 81, status_code: HTTP_301 } }] }
target_groups:
  - { name: flows, protocol: TCP, port: 1, health_check: { protocol: TCP, interval: 10s, timeout: 10s }, attributes: { stickiness.type: lb_cookie } }
",
        &[
            "load_balancers[0].attributes.idle_timeout.timeout_seconds: 'idle_timeout.timeout_seconds' is not supported for network load balancers",
            "load_balancers[0].listeners[1].default_actions[0].forward.target_group: UDP listeners cannot forward to target group \"flows\" with protocol TCP",
            "load_balancers[0].listeners[2].protocol: Listener protocol 'HTTP' must be one of 'TCP, TLS, UDP, TCP_UDP, QUIC, TCP_QUIC'",
            "load_balancers[0].listeners[2].default_actions[0].redirect: network load balancers can only forward",
            "target_groups[0].attributes.stickiness.type: Stickiness type 'lb_cookie' is not supported for target groups with the TCP protocol",
        ],
    );
}

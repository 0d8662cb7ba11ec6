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
    for kind in ["instance", "lambda"] {
        let settings = format!("protocol: HTTP\ntarget_type: {kind}");
        refused(&settings, "target_type", &format!("targets of type {kind}"));
    }
    let zone = "protocol: HTTP\nport: 80\ntargets: [{ id: 10.0.0.1, availability_zone: eu-central-1a }]";
    refused(zone, "targets[0].availability_zone", "availability zones");
    let quic = "protocol: HTTP\nport: 80\ntargets: [{ id: 10.0.0.1, quic_server_id: '0x0011223344556677' }]";
    refused(quic, "targets[0].quic_server_id", "QUIC targets");
}

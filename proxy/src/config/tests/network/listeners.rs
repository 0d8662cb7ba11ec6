//! Listeners of network load balancers and their default actions.

use std::time::Duration;

use super::{FORWARD, LISTENER, TLS, forwarding, group, listener, network};
use crate::{
    config::tests::{check, load},
    model::{
        Action, TargetGroupIndex,
        listener::{AlpnPolicy, MutualAuthentication, ProxyProtocol, ProxyProtocolMode},
        rule::{Forward, WeightedTargetGroup},
    },
};

#[test]
fn listeners_terminate_tls_with_several_certificates_and_an_alpn_policy() {
    let settings = "protocol: TLS, ssl_policy: ELBSecurityPolicy-TLS13-1-2-Res-2021-06, \
                    certificates: [main, main], alpn_policy: HTTP2Preferred";
    let tls = listener(&forwarding(settings)).tls.unwrap();
    assert_eq!(tls.policy.name, "ELBSecurityPolicy-TLS13-1-2-Res-2021-06");
    assert_eq!((tls.certificates.len(), tls.alpn_policy), (2, AlpnPolicy::Http2Preferred));
    assert_eq!(tls.mutual_authentication, MutualAuthentication::Off);
    assert_eq!(listener(&forwarding(TLS)).tls.unwrap().alpn_policy, AlpnPolicy::None);
    let at = format!("{LISTENER}.alpn_policy");
    check(
        &forwarding("protocol: TCP, alpn_policy: HTTP2Only"),
        &[&format!("{at}: is for TLS listeners of network load balancers only")],
    );
    check(
        &forwarding(&format!("{TLS}, alpn_policy: h2")),
        &[&format!(
            "{at}: ALPN policy 'h2' must be one of 'HTTP1Only, HTTP2Only, HTTP2Optional, HTTP2Preferred, None'"
        )],
    );
}

#[test]
fn what_belongs_to_tls_is_refused_elsewhere_and_mutual_tls_everywhere() {
    check(
        &forwarding("protocol: TLS"),
        &[&format!("{LISTENER}.certificates: TLS listeners need at least one certificate")],
    );
    check(
        &forwarding("protocol: TCP, ssl_policy: ELBSecurityPolicy-2016-08, certificates: [main]"),
        &[
            &format!("{LISTENER}.ssl_policy: is not for TCP listeners"),
            &format!("{LISTENER}.certificates: is not for TCP listeners"),
        ],
    );
    let mutual = "Network Load Balancers do not support mutual TLS; use a TCP listener";
    for mode in ["verify", "passthrough", "none"] {
        check(
            &forwarding(&format!("{TLS}, mutual_authentication: {{ mode: {mode} }}")),
            &[&format!("{LISTENER}.mutual_authentication: {mutual}")],
        );
    }
}

#[test]
fn protocols_that_are_not_carried_are_one_mistake_each() {
    for protocol in ["UDP", "TCP_UDP", "QUIC", "TCP_QUIC"] {
        // Nothing else is said of the listener, whatever else it has.
        let listener = format!("protocol: {protocol}, rules: [{{}}], alpn_policy: h3, default_actions: []");
        let carried = "(Albeit carries TCP and TLS; see docs/parity.md)";
        check(
            &network(&listener, "protocol: TCP", "protocol: TCP"),
            &[&format!("{LISTENER}.protocol: not supported: {protocol} listeners {carried}")],
        );
        check(
            &group(&format!("protocol: {protocol}, target_type: ip, attributes: {{ a: b }}")),
            &[&format!("target_groups[0].protocol: not supported: {protocol} target groups {carried}")],
        );
    }
    check(
        &forwarding("protocol: HTTP"),
        &[&format!("{LISTENER}.protocol: Listener protocol 'HTTP' must be one of 'TCP, TLS'")],
    );
}

#[test]
fn there_are_no_rules() {
    let listener = format!("protocol: TCP, rules: [{{ priority: 0, actions: [] }}], {FORWARD}");
    check(
        &network(&listener, "protocol: TCP", "protocol: TCP"),
        &[&format!("{LISTENER}.rules: network load balancers have no rules")],
    );
}

#[test]
fn the_default_action_is_one_forward() {
    let at = format!("{LISTENER}.default_actions");
    let actions = |actions: &str| {
        network(&format!("protocol: TCP, default_actions: [{actions}]"), "protocol: TCP", "protocol: TCP")
    };
    let only = "network load balancers can only forward";
    for (action, kind) in [
        ("redirect: { port: 81, status_code: HTTP_301 }", "redirect"),
        ("fixed_response: { status_code: 200 }", "fixed_response"),
        ("jwt_validation: { issuer: a, jwks_endpoint: b }", "jwt_validation"),
    ] {
        check(&actions(&format!("{{ {action} }}")), &[&format!("{at}[0].{kind}: {only}")]);
    }
    let forward = "{ forward: { target_group: flows } }";
    check(
        &actions(&format!("{forward}, {forward}")),
        &[&format!("{at}[0].forward: listeners of network load balancers have one action")],
    );
    check(&actions(""), &[&format!("{at}: at least one action is needed")]);
}

/// A forward action to both groups, with these further settings.
fn weighted(protocol: &str, settings: &str) -> String {
    let groups = "target_groups: [{ target_group: flows, weight: 999 }, { target_group: others, weight: 0 }]";
    let listener = format!("{protocol}, default_actions: [{{ forward: {{ {groups}{settings} }} }}]");
    network(&listener, "protocol: TCP", "protocol: TCP")
}

#[test]
fn groups_are_weighted_and_bind_clients_without_a_duration() {
    let groups = [(0, 999), (1, 0)]
        .map(|(index, weight)| WeightedTargetGroup { target_group: TargetGroupIndex(index), weight });
    for (settings, stickiness) in [
        ("", None),
        (", target_group_stickiness_config: { enabled: false }", None),
        (", target_group_stickiness_config: { enabled: true }", Some(Duration::MAX)),
    ] {
        let forward = Forward { target_groups: groups.to_vec(), stickiness };
        let listener = listener(&weighted("protocol: TCP", settings));
        assert_eq!(listener.default_actions.action, Action::Forward(forward));
    }
    let at = format!("{LISTENER}.default_actions[0].forward.target_group_stickiness_config");
    check(
        &weighted("protocol: TCP", ", target_group_stickiness_config: { enabled: true, duration: 1h }"),
        &[&format!(
            "{at}.duration: is for application load balancers only: network load balancers bind clients by their \
             address, without a limit in time"
        )],
    );
    check(
        &weighted(TLS, ", target_group_stickiness_config: { enabled: true }"),
        &[&format!("{at}: is not supported for TLS listeners; use a TCP listener")],
    );
    check(&weighted(TLS, ", target_group_stickiness_config: { enabled: false }"), &[]);
}

#[test]
fn the_idle_timeout_is_for_tcp_listeners() {
    let with = |protocol: &str, value: &str| {
        forwarding(&format!("{protocol}, attributes: {{ tcp.idle_timeout.seconds: {value} }}"))
    };
    let idle = |value| listener(&with("protocol: TCP", value)).attributes.tcp_idle_timeout.as_secs();
    assert_eq!((idle("60"), idle("6000")), (60, 6000));
    let at = format!("{LISTENER}.attributes.tcp.idle_timeout.seconds");
    check(
        &with("protocol: TCP", "59"),
        &[&format!("{at}: 'tcp.idle_timeout.seconds' value '59' must be between '60-6000' inclusive")],
    );
    check(&with(TLS, "60"), &[&format!("{at}: is fixed at 350 seconds for TLS listeners")]);
}

#[test]
fn proxy_protocol_needs_somebody_to_believe() {
    let with = |attributes: &str| forwarding(&format!("protocol: TCP, attributes: {{ {attributes} }}"));
    let at = format!("{LISTENER}.attributes.albeit.proxy_protocol");
    for (mode, typed) in
        [("optional", ProxyProtocolMode::Optional), ("required", ProxyProtocolMode::Required)]
    {
        let trusted = "albeit.proxy_protocol.trusted_cidrs: '10.0.0.0/8, ::1/128'";
        let listener = listener(&with(&format!("albeit.proxy_protocol: {mode}, {trusted}")));
        let trusted = ["10.0.0.0/8", "::1/128"].map(|cidr| cidr.parse().unwrap()).to_vec();
        assert_eq!(listener.attributes.proxy_protocol, ProxyProtocol { mode: typed, trusted });
        check(
            &with(&format!("albeit.proxy_protocol: {mode}")),
            &[&format!(
                "{at}: '{mode}' needs 'albeit.proxy_protocol.trusted_cidrs': the subnets of the load balancer in \
                 front, such as '10.0.0.0/16'"
            )],
        );
    }
    check(
        &with("albeit.proxy_protocol: required, albeit.proxy_protocol.trusted_cidrs: '10.0.0.1, vpc'"),
        &[&format!(
            "{at}.trusted_cidrs: 'albeit.proxy_protocol.trusted_cidrs' must be CIDR blocks such as '10.0.0.0/8', \
             separated by commas: '10.0.0.1', 'vpc' are none"
        )],
    );
    let off = load(&with("albeit.proxy_protocol.trusted_cidrs: 10.0.0.0/8")).unwrap().warnings;
    let off: Vec<_> = off.iter().filter(|it| it.path.contains("proxy_protocol")).collect();
    assert_eq!(off.len(), 1);
    assert_eq!(off[0].path, format!("{at}.trusted_cidrs"));
    assert_eq!(off[0].message, "has no effect: 'albeit.proxy_protocol' is 'off'");
}

//! What the file can say: defaults, every feature of the model, refusals of what is not there yet.

use std::time::Duration;

use super::{default_action, http_listener, https_listener, load, load_balancer_attributes, target_group};
use crate::model::{
    Action, Condition, HealthCheck, LogDestination, Model, TargetGroupIndex,
    fault::FaultAttributes,
    load_balancer::{DesyncMitigationMode, LoadBalancerAttributes, LogFiles, LogFormat, XffHeaderProcessing},
    rule::{Actions, Forward, Patterns, QueryPattern, Rewrite},
    target_group::{
        Algorithm, FlowAttributes, Matcher, MinimumHealthyTargets, Stickiness, TargetGroupAttributes,
        TargetId,
    },
};

#[track_caller]
fn model(yaml: &str) -> Model {
    match load(yaml) {
        Ok(loaded) => loaded.model,
        Err(errors) => panic!("{errors}\nin\n{yaml}"),
    }
}

#[test]
fn the_shortest_file_takes_every_default() {
    let model = model(&default_action("forward: { target_group: web }"));
    let load_balancer = &model.load_balancers[0];
    assert_eq!(load_balancer.attributes, LoadBalancerAttributes::default());
    assert_eq!(load_balancer.listeners[0].bind.to_string(), "0.0.0.0:80");
    assert_eq!(load_balancer.listeners[0].tls, None);
    assert_eq!(
        load_balancer.listeners[0].default_actions,
        Actions::from(Action::Forward(Forward::to(TargetGroupIndex(0))))
    );
    assert_eq!(model.target_groups[0].attributes, TargetGroupAttributes::default());
    assert_eq!(model.target_groups[0].health_check, HealthCheck::default());
    assert_eq!(model.admin.bind.map(|bind| bind.to_string()).as_deref(), Some("127.0.0.1:9901"));
    assert_eq!(model.scope.account_id, "000000000000");
    assert!(load_balancer.dns_name.starts_with("edge-"), "{}", load_balancer.dns_name);
    assert!(load_balancer.dns_name.ends_with(".local.elb.amazonaws.com"), "{}", load_balancer.dns_name);
}

#[test]
fn attributes_become_typed() {
    let model = model(&load_balancer_attributes(
        "idle_timeout.timeout_seconds: 3600, client_keep_alive.seconds: '60', access_logs.s3.enabled: true, \
         access_logs.s3.bucket: logs, access_logs.s3.prefix: /a/b/, routing.http.xff_client_port.enabled: true, \
         routing.http.xff_header_processing.mode: remove, routing.http.preserve_host_header.enabled: 'true', \
         routing.http.desync_mitigation_mode: strictest, \
         routing.http.drop_invalid_header_fields.enabled: true, routing.http2.enabled: false, albeit.access_logs.stdout.enabled: true",
    ));
    let attributes = &model.load_balancers[0].attributes;
    assert_eq!(attributes.idle_timeout, Duration::from_secs(3600));
    assert_eq!(attributes.client_keep_alive, Duration::from_secs(60));
    assert_eq!(
        attributes.access_logs.as_ref().map(LogDestination::root),
        Some(super::FILES.path().join("logs/a/b"))
    );
    assert_eq!(attributes.xff_header_processing, XffHeaderProcessing::Remove);
    assert!(attributes.access_logs_stdout && attributes.xff_client_port && attributes.preserve_host_header);
    assert!(!attributes.http2 && attributes.drop_invalid_header_fields);
    assert_eq!(attributes.desync_mitigation_mode, DesyncMitigationMode::Strictest);
}

#[test]
fn the_three_logs_share_format_and_files() {
    let defaults = model(&load_balancer_attributes("idle_timeout.timeout_seconds: 60"));
    let attributes = &defaults.load_balancers[0].attributes;
    assert_eq!((attributes.log_format, attributes.log_files), (LogFormat::Elb, LogFiles::Elb));
    assert_eq!((&attributes.connection_logs, &attributes.health_check_logs), (&None, &None));
    let model = model(&load_balancer_attributes(
        "connection_logs.s3.enabled: true, connection_logs.s3.bucket: connections, \
         health_check_logs.s3.enabled: true, health_check_logs.s3.bucket: checks, \
         health_check_logs.s3.prefix: a, albeit.access_logs.format: json, albeit.access_logs.files: plain",
    ));
    let attributes = &model.load_balancers[0].attributes;
    assert_eq!((attributes.log_format, attributes.log_files), (LogFormat::Json, LogFiles::Plain));
    for (logs, root) in
        [(&attributes.connection_logs, "connections"), (&attributes.health_check_logs, "checks/a")]
    {
        assert_eq!(logs.as_ref().map(LogDestination::root), Some(super::FILES.path().join(root)));
    }
    assert_eq!(attributes.access_logs, None);
}

#[test]
fn target_groups_become_typed() {
    let model = model(&target_group(
        "protocol: HTTP
health_check: { path: /up, port: 81, interval: 15s, timeout: 3s, healthy_threshold: 2, unhealthy_threshold: 10, matcher: '200,204-299' }
attributes:
  stickiness.enabled: ${ON}
  stickiness.lb_cookie.duration_seconds: 60
  load_balancing.algorithm.type: least_outstanding_requests
  deregistration_delay.timeout_seconds: 0
  target_group_health.unhealthy_state_routing.minimum_healthy_targets.count: 2
  target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage: 50
targets: [{ id: 127.0.0.1, port: '${PORT}' }, { id: '::1', port: 82 }, { id: backend-1, port: 83 }]",
    ));
    let group = &model.target_groups[0];
    assert_eq!(
        group.attributes,
        TargetGroupAttributes {
            retry_closed_reused_connection: false,
            faults: FaultAttributes::default(),
            deregistration_delay: Duration::ZERO,
            stickiness: Some(Stickiness::LbCookie { duration: Duration::from_secs(60) }),
            slow_start: None,
            dns_failover: MinimumHealthyTargets { count: 1, percentage: None },
            algorithm: Algorithm::LeastOutstandingRequests,
            unhealthy_state_routing: MinimumHealthyTargets { count: 2, percentage: Some(50) },
            flows: FlowAttributes::default(),
        }
    );
    assert_eq!(group.health_check.port, Some(81));
    assert_eq!(group.health_check.interval, Duration::from_secs(15));
    assert_eq!(group.health_check.matcher, Matcher(vec![(200, 200), (204, 299)]));
    assert_eq!(group.targets[0].port, 8443);
    assert_eq!(group.targets[1].id, TargetId::Ip("::1".parse().unwrap()));
    assert_eq!(group.targets[2].id, TargetId::HostName("backend-1".to_owned()));
}

#[test]
fn rules_are_sorted_by_priority() {
    let model = model(&http_listener(
        "default_actions: [{ fixed_response: { status_code: 404, content_type: text/plain, message_body: no } }]
rules:
  - { priority: 20, conditions: [{ path_pattern: [/b] }], actions: [{ forward: { target_groups: [{ target_group: '${GROUP}', weight: 1 }] } }] }
  - { priority: 10, conditions: [{ host_header: [a.example.com] }, { path_pattern: { values: [/a] } }], actions: [{ redirect: { host: b.example.com, status_code: HTTP_302 } }] }",
    ));
    let rules = &model.load_balancers[0].listeners[0].rules;
    assert_eq!(rules.iter().map(|rule| rule.priority).collect::<Vec<_>>(), [10, 20]);
    assert_eq!(
        rules[0].conditions,
        [
            Condition::HostHeader(Patterns::Wildcards(vec!["a.example.com".to_owned()])),
            Condition::PathPattern(Patterns::Wildcards(vec!["/a".to_owned()]))
        ]
    );
    assert_eq!(rules[1].actions, Actions::from(Action::Forward(Forward::to(TargetGroupIndex(0)))));
}

#[test]
fn every_condition_and_transform_becomes_typed() {
    let model = model(&http_listener(
        r"default_actions: [{ forward: { target_group: web } }]
rules:
  - priority: 1
    conditions:
      - http_header: { name: X-Tenant, values: [gold*] }
      - query_string: [{ key: v, value: '\*1' }, { value: 2 }]
      - source_ip: [10.0.0.0/8]
    transforms:
      - host_header_rewrite: { regex: ^a, replace: b }
      - url_rewrite: { regex: ^/(.), replace: /$1 }
    actions: [{ forward: { target_group: web } }]
  - priority: 2
    conditions:
      - http_request_method: [GET]
      - path_pattern: { regex_values: [^/v\d] }
      - host_header: { regex_values: [^api] }
    actions: [{ forward: { target_group: web } }]",
    ));
    let rules = &model.load_balancers[0].listeners[0].rules;
    let strings = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect::<Vec<_>>();
    let query = |key: Option<&str>, value: &str| QueryPattern {
        key: key.map(str::to_owned),
        value: value.to_owned(),
    };
    assert_eq!(
        rules[0].conditions,
        [
            Condition::HttpHeader {
                name: "X-Tenant".to_owned(),
                patterns: Patterns::Wildcards(strings(&["gold*"]))
            },
            Condition::QueryString(vec![query(Some("v"), r"\*1"), query(None, "2")]),
            Condition::SourceIp(vec!["10.0.0.0/8".parse().unwrap()]),
        ]
    );
    assert_eq!(
        rules[1].conditions,
        [
            Condition::HttpRequestMethod(strings(&["GET"])),
            Condition::PathPattern(Patterns::Regex(strings(&[r"^/v\d"]))),
            Condition::HostHeader(Patterns::Regex(strings(&["^api"]))),
        ]
    );
    let rewrite =
        |regex: &str, replace: &str| Some(Rewrite { regex: regex.to_owned(), replace: replace.to_owned() });
    assert_eq!(rules[0].transforms.host_header_rewrite, rewrite("^a", "b"));
    assert_eq!(rules[0].transforms.url_rewrite, rewrite("^/(.)", "/$1"));
    assert!(rules[1].transforms.is_empty());
}

#[test]
fn transforms_of_a_rule_that_does_not_forward_are_warned_about() {
    let loaded = load(&http_listener(
        "default_actions: [{ forward: { target_group: web } }]
rules:
  - priority: 1
    conditions: [{ path_pattern: [/a] }]
    transforms: [{ url_rewrite: { regex: a, replace: b } }]
    actions: [{ fixed_response: { status_code: 200 } }]",
    ))
    .unwrap();
    assert_eq!(loaded.warnings.len(), 1);
    assert_eq!(loaded.warnings[0].path, "load_balancers[0].listeners[0].rules[0].transforms");
    assert_eq!(loaded.warnings[0].message, "has no effect: only requests that are forwarded are rewritten");
}

#[test]
fn an_alias_repeats_a_value() {
    let model = model(
        "load_balancers:
  - name: edge
    listeners:
      - { protocol: HTTP, port: 80, default_actions: &all [{ forward: { target_group: web } }] }
      - { protocol: HTTP, port: 81, default_actions: *all }
target_groups: [{ name: web, protocol: HTTP, port: 80 }]
",
    );
    let listeners = &model.load_balancers[0].listeners;
    assert_eq!(listeners[0].default_actions, listeners[1].default_actions);
}

#[test]
fn what_changes_nothing_is_accepted_with_a_warning() {
    let loaded = load(&target_group(
        "protocol: HTTP
attributes: { load_balancing.cross_zone.enabled: true, target_group_health.dns_failover.minimum_healthy_targets.count: 3 }",
    ))
    .unwrap();
    let warnings: Vec<_> = loaded.warnings.iter().map(|warning| warning.in_file("f")).collect();
    insta::assert_snapshot!(warnings.join("\n"), @r#"
    f:8:19: target_groups[0].attributes.load_balancing.cross_zone.enabled: has no effect: Albeit has no availability zones: every target is in reach of every node
    "#);
    let quiet = load(&load_balancer_attributes(
        "load_balancing.cross_zone.enabled: true, waf.fail_open.enabled: false",
    ));
    assert_eq!(quiet.unwrap().warnings, []);
}

#[test]
fn what_is_probably_not_meant_is_warned_about() {
    let loaded = load(
        "load_balancers:
  - name: edge
    listeners: [{ protocol: HTTP, port: 80, default_actions: [{ fixed_response: { status_code: 200 } }] }]
target_groups: [{ name: spare, protocol: HTTP }]
",
    )
    .unwrap();
    let warnings: Vec<_> = loaded.warnings.iter().map(|warning| warning.in_file("f")).collect();
    assert_eq!(warnings, ["f:4:17: target_groups[0]: no listener or rule forwards to this target group"]);
}

#[test]
fn the_default_policy_is_the_one_of_the_api() {
    let yaml = https_listener("certificates: [main]\ndefault_actions: [{ forward: { target_group: web } }]")
        .replace("        ssl_policy: ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09\n", "");
    let loaded = load(&yaml).unwrap();
    let tls = loaded.model.load_balancers[0].listeners[0].tls.clone().unwrap();
    assert_eq!(tls.policy.name, "ELBSecurityPolicy-2016-08");
    let warning = &loaded.warnings[0];
    assert_eq!(warning.path, "load_balancers[0].listeners[0].ssl_policy");
    assert_eq!(warning.message, "not given: ELBSecurityPolicy-2016-08 is used, as by the API of ELB");
    assert_eq!(Some(&loaded.warnings[1].message), tls.policy.left_out_warning().as_ref());
}

//! Our own configuration, as the doctor sees it.

use std::time::Duration;

use super::super::tests::{shown, system};
use crate::doctor::{
    diagnose,
    system::{Action, ConditionField, System},
};

const ALB: &str = "\
load_balancers:
  - name: edge
    attributes:
      idle_timeout.timeout_seconds: ${IDLE:-120}
    listeners:
      - protocol: HTTP
        port: 80
        attributes:
          albeit.proxy_protocol: required
          albeit.proxy_protocol.trusted_cidrs: 10.0.0.0/8
        rules:
          - priority: 20
            conditions: [{ path_pattern: [\"/b\"] }]
            actions: [{ redirect: { protocol: HTTPS, status_code: HTTP_301 } }]
          - priority: 10
            conditions:
              - host_header: [\"a.test\", \"b.test\"]
              - http_header: { name: X-Version, values: [\"2\"] }
            actions:
              - forward:
                  target_groups:
                    - { target_group: web, weight: 3 }
                    - { target_group: api }
                  target_group_stickiness_config: { enabled: true, duration: 60s }
        default_actions:
          - forward: { target_group: web }
target_groups:
  - name: web
    protocol: HTTP
    port: 8080
    health_check: { path: /health, interval: 10s }
    attributes: { stickiness.enabled: true }
    targets: [{ id: 10.0.0.1 }, { id: 10.0.0.2 }]
  - name: api
    protocol: HTTP
    targets: [{ id: api.test, port: 1 }]
";

fn alb() -> System {
    system(&[("conf/alb.yaml", ALB)], &|_| None)
}

#[test]
fn certificates_and_keys_may_be_elsewhere() {
    let text = "\
certificates:
  - { name: shop, certificate: /gone/cert.pem, private_key: /gone/key.pem }
stickiness_keys:
  - { file: /gone/stickiness.key }
load_balancers:
  - name: edge
    listeners:
      - protocol: HTTPS
        port: 443
        certificates: [shop]
        default_actions: [{ forward: { target_group: web } }]
target_groups:
  - { name: web, protocol: HTTP, port: 8080, targets: [{ id: 10.0.0.1 }] }
";
    let system = system(&[("alb.yaml", text)], &|_| None);
    assert_eq!(system.load_balancers[0].listeners[0].protocol.value, "HTTPS");
}

#[test]
fn settings_have_their_places_and_the_rest_elbs_defaults() {
    let system = alb();
    let (load_balancer, group) = (&system.load_balancers[0], &system.target_groups[0]);
    let listener = &load_balancer.listeners[0];
    let idle = load_balancer.attributes.seconds("idle_timeout.timeout_seconds");
    assert_eq!(idle.as_ref().unwrap().value, Duration::from_secs(120));
    let check = &group.health_check;
    insta::assert_snapshot!([
        shown(Some(&load_balancer.name)),
        shown(idle.as_ref()),
        shown(load_balancer.attributes.number("client_keep_alive.seconds").as_ref()),
        shown(Some(&listener.protocol)),
        shown(listener.port.as_ref()),
        shown(listener.ssl_policy.as_ref()),
        shown(listener.proxy_protocol.as_ref()),
        shown(Some(&group.name)),
        shown(group.port.as_ref()),
        shown(group.protocol_version.as_ref()),
        shown(group.target_type.as_ref()),
        shown(group.targets.as_ref()),
        shown(Some(&group.attributes.text("stickiness.enabled"))),
        shown(check.path.as_ref()),
        shown(check.interval.as_ref()),
        shown(check.timeout.as_ref()),
        shown(check.unhealthy_threshold.as_ref()),
        shown(check.matcher.as_ref()),
    ].join("\n"), @r"
    name = edge (conf/alb.yaml:2:5)
    idle_timeout.timeout_seconds = 120 (conf/alb.yaml:4:7)
    client_keep_alive.seconds = 3600 (default of an Application Load Balancer)
    protocol = HTTP (conf/alb.yaml:6:9)
    port = 80 (conf/alb.yaml:7:9)
    -
    albeit.proxy_protocol = required (conf/alb.yaml:9:11)
    name = web (conf/alb.yaml:28:5)
    port = 8080 (conf/alb.yaml:30:5)
    protocol_version = HTTP1 (default of ELB)
    target_type = ip (default of ELB)
    targets = 2 (conf/alb.yaml:33:5)
    stickiness.enabled = true (conf/alb.yaml:32:19)
    health_check.path = /health (conf/alb.yaml:31:21)
    health_check.interval = 10s (conf/alb.yaml:31:36)
    health_check.timeout = 5s (default of an Application Load Balancer)
    health_check.unhealthy_threshold = 2 (default of an Application Load Balancer)
    health_check.matcher = 200 (default of an Application Load Balancer)
    ");
    assert_eq!(check.interval.as_ref().unwrap().value, Duration::from_secs(10));
    assert!(listener.proxy_protocol.as_ref().unwrap().value);
    // A name may have any number of addresses.
    assert_eq!(system.target_groups[1].targets, None);
}

#[test]
fn rules_are_in_the_order_of_evaluation_and_know_where_they_stand() {
    let system = alb();
    let rules = &system.load_balancers[0].listeners[0].rules;
    let priorities: Vec<_> = rules.iter().map(|rule| shown(Some(&rule.priority))).collect();
    insta::assert_snapshot!(priorities.join("\n"), @r"
    priority = 10 (conf/alb.yaml:15:13)
    priority = 20 (conf/alb.yaml:12:13)
    default_actions = default (conf/alb.yaml:25:9)
    ");
    let conditions: Vec<_> = rules
        .iter()
        .flat_map(|rule| &rule.conditions)
        .flat_map(|condition| condition.values.iter().map(|value| (&condition.field, shown(Some(value)))))
        .map(|(field, value)| format!("{field:?}: {value}"))
        .collect();
    insta::assert_snapshot!(conditions.join("\n"), @r#"
    HostHeader: host_header = a.test (conf/alb.yaml:17:31)
    HostHeader: host_header = b.test (conf/alb.yaml:17:41)
    HttpHeader("x-version"): http_header.values = 2 (conf/alb.yaml:18:58)
    PathPattern: path_pattern = /b (conf/alb.yaml:13:43)
    "#);
    assert_eq!(rules[0].conditions[1].field, ConditionField::HttpHeader("x-version".to_owned()));
    let Action::Forward { target_groups, stickiness } = &rules[0].actions[0] else { panic!("{rules:?}") };
    let groups: Vec<_> =
        target_groups.iter().map(|it| (shown(Some(&it.target_group)), shown(it.weight.as_ref()))).collect();
    insta::assert_debug_snapshot!(groups, @r#"
    [
        (
            "target_group = web (conf/alb.yaml:22:25)",
            "weight = 3 (conf/alb.yaml:22:44)",
        ),
        (
            "target_group = api (conf/alb.yaml:23:25)",
            "weight = 1 (default of ELB)",
        ),
    ]
    "#);
    assert_eq!(
        shown(stickiness.as_ref()),
        "target_group_stickiness_config.enabled = true (conf/alb.yaml:24:53)"
    );
    let Action::Redirect { protocol, host, .. } = &rules[1].actions[0] else { panic!("{rules:?}") };
    assert_eq!((shown(Some(protocol)), host), ("protocol = HTTPS (conf/alb.yaml:14:37)".to_owned(), &None));
    let Action::Forward { target_groups, stickiness: None } = &rules[2].actions[0] else {
        panic!("{rules:?}")
    };
    assert_eq!(shown(Some(&target_groups[0].target_group)), "target_group = web (conf/alb.yaml:26:24)");
    assert_eq!(target_groups[0].weight, None);
}

#[test]
fn a_network_load_balancer_in_front_forwards_to_the_listener_of_the_other() {
    let text = "\
load_balancers:
  - name: front
    type: network
    listeners:
      - { protocol: TCP, port: 443, default_actions: [{ forward: { target_group: to-alb } }] }
  - name: web
    listeners:
      - { protocol: HTTP, port: 8080, default_actions: [{ fixed_response: { status_code: 404 } }] }
target_groups:
  - name: to-alb
    protocol: TCP
    target_type: alb
    port: 8080
    attributes: { preserve_client_ip.enabled: true }
    targets: [{ id: web }]
";
    let system = system(&[("alb.yaml", text)], &|_| None);
    let (front, group) = (&system.load_balancers[0], &system.target_groups[0]);
    assert_eq!((front.is_application(), group.serves_clients()), (false, false));
    assert_eq!(shown(group.targets.as_ref()), "targets = 1 (alb.yaml:15:5)");
    assert_eq!(group.protocol_version, None);
    assert_eq!(
        shown(Some(&group.attributes.text("preserve_client_ip.enabled"))),
        "preserve_client_ip.enabled = true (alb.yaml:14:19)"
    );
    let behind = &system.load_balancers[1].listeners[0];
    assert_eq!(
        shown(behind.proxy_protocol.as_ref()),
        "albeit.proxy_protocol = off (default of an Application Load Balancer)"
    );
    let Action::FixedResponse(status) = &behind.rules[0].actions[0] else { panic!("{behind:?}") };
    assert_eq!(shown(Some(status)), "fixed_response.status_code = 404 (alb.yaml:8:77)");
}

#[test]
fn the_race_of_spring_behind_an_application_load_balancer_is_found() {
    let spring = ("application.yml", "server:\n  tomcat:\n    connection-timeout: 20000\n");
    let findings = diagnose(&system(&[("alb.yaml", ALB), spring], &|_| None));
    let race = findings.iter().find(|finding| finding.code == "keep-alive-race").unwrap();
    assert_eq!(race.evidence[0].place.to_string(), "application.yml:3:5");
    assert_eq!(race.evidence[1].place.to_string(), "alb.yaml:4:7");
}

#[test]
fn what_is_declared_of_targets_is_tied_to_their_group() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    write("application.yml", "server:\n  tomcat:\n    keep-alive-timeout: 20s\n    max-connections: 5\n");
    let declare = "name: web\n    targets_declare:\n      application: application.yml\n      keep_alive_timeout: 75s\n      heartbeat_interval: 25s\n      proxies: [50s]\n";
    let file = write("alb.yaml", &ALB.replacen("name: web", declare, 1));
    let system = super::super::read_all([file.as_path()], &|_| None).unwrap();
    let [application] = system.applications.as_slice() else { panic!("{:?}", system.applications) };
    assert_eq!(application.target_groups, ["web"]);
    let place = |text: String| text.replace(&format!("{}/", dir.path().display()), "");
    assert_eq!(
        place(shown(application.keep_alive_timeout.as_ref())),
        "targets_declare.keep_alive_timeout = 75 s (alb.yaml:31:7)"
    );
    assert_eq!(
        place(shown(application.max_connections.as_ref())),
        "server.tomcat.max-connections = 5 (application.yml:4:5)"
    );
    assert_eq!(
        place(shown(Some(&application.heartbeats[0].interval))),
        "targets_declare.heartbeat_interval = 25 s (alb.yaml:32:7)"
    );
    assert_eq!(place(shown(application.hops.first())), "targets_declare.proxies[0] = 50 s (alb.yaml:33:17)");
}

#[test]
fn a_configuration_cannot_declare_itself() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("alb.yaml");
    std::fs::write(
        &file,
        ALB.replacen("name: web", "name: web\n    targets_declare: { application: alb.yaml }", 1),
    )
    .unwrap();
    let errors = super::super::read_all([file.as_path()], &|_| None).unwrap_err();
    assert!(errors[0].to_string().contains("alb.yaml: is neither"), "{errors:?}");
}

//! Halves of applications that find each other.

use super::super::tests::{application, shown, system};

const SPRING: (&str, &str) =
    ("application.yml", "spring.application.name: orders\nserver.tomcat.keep-alive-timeout: 20s\n");

#[track_caller]
fn keep_alives(files: &[(&str, &str)], expected: &[&str]) {
    let system = system(files, &|_| None);
    let found: Vec<_> = system
        .applications
        .iter()
        .map(|it| format!("{}: {}", it.name, shown(it.keep_alive_timeout.as_ref())))
        .collect();
    assert_eq!(found, expected, "{files:?}");
}

const OF_FILE: &str = "server.tomcat.keep-alive-timeout = 20s (application.yml:2:1)";

#[test]
fn variables_of_the_deployment_count_more_than_the_file() {
    let compose = "\
services:
  web:
    image: eclipse-temurin:21
    environment:
      SERVER_TOMCAT_KEEP_ALIVE_TIMEOUT: 75s
  redis: { image: redis }
";
    let expected = "web: SERVER_TOMCAT_KEEP_ALIVE_TIMEOUT = 75s (compose.yml:5:7)";
    keep_alives(&[SPRING, ("compose.yml", compose)], &[expected]);
    keep_alives(&[("compose.yml", compose), SPRING], &[expected]);
}

#[test]
fn a_deployment_chooses_the_profile() {
    let file = "server.port: 80\n---\nspring.profiles: prod\nserver.tomcat.keep-alive-timeout: 90s\n";
    let compose = "services: { web: { image: web, environment: [SPRING_PROFILES_ACTIVE=prod] } }\n";
    keep_alives(
        &[("application.yml", file), ("compose.yml", compose)],
        &["web: server.tomcat.keep-alive-timeout = 90s (application.yml:4:1)"],
    );
}

#[test]
fn a_configuration_belongs_to_the_deployment_of_its_name() {
    let compose = "\
services:
  payments: { image: openjdk, ports: ['9000:9000'] }
  orders: { image: openjdk, ports: ['8080:8080'] }
";
    keep_alives(&[SPRING, ("compose.yml", compose)], &["payments: -", &format!("orders: {OF_FILE}")]);
}

#[test]
fn instances_of_one_application_share_its_configuration() {
    let compose = "services: { web-1: { image: openjdk }, web-2: { image: openjdk }, ui: { image: node } }\n";
    let node = "ui: server.keepAliveTimeout = 5000 (default of Node.js)";
    keep_alives(
        &[SPRING, ("compose.yml", compose)],
        &[&format!("web-1: {OF_FILE}"), &format!("web-2: {OF_FILE}"), node],
    );
}

#[test]
fn our_backend_reads_springs_files() {
    let compose = "services: { web: { command: [albeit-backend, --config, application.yml] } }\n";
    let application = application(&[SPRING, ("compose.yml", compose)]);
    assert_eq!(shown(application.keep_alive_timeout.as_ref()), OF_FILE);
    assert_eq!(
        shown(application.max_connections.as_ref()),
        "server.tomcat.max-connections = 10000 (default of albeit-backend)"
    );
}

//! `application.yml` and `application.properties` as people write them.

use super::super::tests::{application, shown, system};
use crate::doctor::setting::human;

#[track_caller]
fn keep_alive(files: &[(&str, &str)], expected: &str) {
    let application = application(files);
    let setting = application.keep_alive_timeout.as_ref();
    let value = setting.map(|setting| human(setting.value)).unwrap_or_default();
    assert_eq!(format!("{value}: {}", shown(setting)), expected);
}

#[test]
fn the_keep_alive_timeout_falls_back_to_the_connection_timeout() {
    keep_alive(
        &[(
            "application.yml",
            "server:\n  tomcat:\n    keep-alive-timeout: 70000\n    connection-timeout: 20s\n",
        )],
        "70 s: server.tomcat.keep-alive-timeout = 70000 (application.yml:3:5)",
    );
    keep_alive(
        &[("application.yml", "server:\n  tomcat:\n    connectionTimeout: 20000\n")],
        "20 s: server.tomcat.connectionTimeout = 20000 (application.yml:3:5)",
    );
    keep_alive(
        &[("application.yml", "server: { port: 8080 }\n")],
        "60 s: server.tomcat.keep-alive-timeout = 60s (default of Tomcat in Spring Boot)",
    );
    // No limit.
    keep_alive(&[("application.yml", "server.tomcat.keep-alive-timeout: -1\n")], ": -");
}

#[test]
fn properties_are_read_as_well_as_yaml() {
    keep_alive(
        &[("src/application.properties", "# Tomcat\nserver.tomcat.keep-alive-timeout=PT20S\n")],
        "20 s: server.tomcat.keep-alive-timeout = PT20S (src/application.properties:2:1)",
    );
    keep_alive(
        &[("service.properties", "server.tomcat.keepAliveTimeout : ${KEEP_ALIVE:\\\n  75s}")],
        "75 s: server.tomcat.keepAliveTimeout = ${KEEP_ALIVE:75s} (service.properties:1:1)",
    );
}

#[test]
fn what_cannot_be_known_is_not_guessed() {
    keep_alive(&[("application.yml", "server.tomcat.keep-alive-timeout: ${KEEP_ALIVE}\n")], ": -");
}

#[test]
fn documents_of_profiles_hold_when_the_profile_is_chosen() {
    let text = "\
server.tomcat.keep-alive-timeout: 10s
---
spring.config.activate.on-profile: prod
server.tomcat.keep-alive-timeout: 75s
";
    keep_alive(
        &[("application.yml", text)],
        "10 s: server.tomcat.keep-alive-timeout = 10s (application.yml:1:1)",
    );
    let chosen = |name: &str| (name == "SPRING_PROFILES_ACTIVE").then(|| "eu, prod".to_owned());
    let system = system(&[("application.yml", text)], &chosen);
    assert_eq!(
        shown(system.applications[0].keep_alive_timeout.as_ref()),
        "server.tomcat.keep-alive-timeout = 75s (application.yml:4:1)"
    );
}

#[test]
fn files_of_one_directory_are_one_application() {
    let main =
        ("src/application.yml", "spring.application.name: orders\nserver.tomcat.keep-alive-timeout: 10s\n");
    let prod = ("src/application-prod.yml", "server.tomcat.keep-alive-timeout: 75s\n");
    let expected = "75 s: server.tomcat.keep-alive-timeout = 75s (src/application-prod.yml:1:1)";
    keep_alive(&[main, prod], expected);
    keep_alive(&[prod, main], expected);
    assert_eq!(application(&[main, prod]).name, "orders");
    let dev = ("src/application-dev.yml", "spring.profiles.active: dev\nserver.port: 1\n");
    let named =
        ("src/application.yml", "spring.profiles.active: dev\nserver.tomcat.keep-alive-timeout: 10s\n");
    keep_alive(&[prod, named, dev], "10 s: server.tomcat.keep-alive-timeout = 10s (src/application.yml:2:1)");
}

#[test]
fn what_nobody_sets_is_spring_boots_default() {
    let application = application(&[("application.yml", "spring: { application: { name: orders } }\n")]);
    let requests = application.max_keep_alive_requests.as_ref();
    assert_eq!(requests.unwrap().value, Some(100));
    insta::assert_snapshot!([
        application.title(),
        shown(application.port.as_ref()),
        shown(application.tls.as_ref()),
        shown(requests),
        shown(application.max_request_header_size.as_ref()),
        shown(application.max_connections.as_ref()),
        shown(application.forwarded_headers.as_ref()),
        shown(application.shutdown.graceful.as_ref()),
        shown(application.shutdown.grace.as_ref()),
        shown(application.sessions.as_ref()),
        shown(application.health_path.as_ref()),
    ].join("\n"), @r"
    application orders
    server.port = 8080 (default of Spring Boot)
    server.ssl.key-store = none (default of Spring Boot)
    server.tomcat.max-keep-alive-requests = 100 (default of Tomcat in Spring Boot)
    server.max-http-request-header-size = 8KB (default of Spring Boot)
    server.tomcat.max-connections = 8192 (default of Tomcat in Spring Boot)
    server.forward-headers-strategy = none (default of Spring Boot)
    -
    -
    -
    -
    ");
}

#[test]
fn every_key_is_understood_where_it_stands() {
    let text = "\
server:
  port: 9000
  max-http-request-header-size: 16KB
  forward-headers-strategy: framework
  shutdown: graceful
  ssl: { key-store: classpath:a.p12 }
  servlet:
    context-path: /shop
    session:
      timeout: 30m
  tomcat:
    max-keep-alive-requests: -1
    max-connections: 10000
spring:
  lifecycle:
    timeout-per-shutdown-phase: 20s
  mvc.async.request-timeout: 45s
management:
  endpoints.web.base-path: /manage
";
    let application = application(&[("application.yml", text)]);
    assert_eq!(application.max_keep_alive_requests.as_ref().unwrap().value, None);
    assert_eq!(application.max_request_header_size.as_ref().unwrap().value, 16 * 1024);
    assert_eq!(application.health_path.as_ref().unwrap().value, "/shop/manage/health");
    assert!(application.tls.as_ref().unwrap().value && application.forwarded_headers.as_ref().unwrap().value);
    insta::assert_snapshot!([
        shown(application.port.as_ref()),
        shown(application.tls.as_ref()),
        shown(application.max_keep_alive_requests.as_ref()),
        shown(application.max_request_header_size.as_ref()),
        shown(application.max_connections.as_ref()),
        shown(application.forwarded_headers.as_ref()),
        shown(application.shutdown.graceful.as_ref()),
        shown(application.shutdown.grace.as_ref()),
        shown(application.sessions.as_ref()),
        shown(application.longest_request.as_ref()),
        shown(application.health_path.as_ref()),
    ].join("\n"), @r"
    server.port = 9000 (application.yml:2:3)
    server.ssl.key-store = classpath:a.p12 (application.yml:6:10)
    server.tomcat.max-keep-alive-requests = -1 (application.yml:12:5)
    server.max-http-request-header-size = 16KB (application.yml:3:3)
    server.tomcat.max-connections = 10000 (application.yml:13:5)
    server.forward-headers-strategy = framework (application.yml:4:3)
    server.shutdown = graceful (application.yml:5:3)
    spring.lifecycle.timeout-per-shutdown-phase = 20s (application.yml:16:5)
    server.servlet.session.timeout = 30m (application.yml:10:7)
    spring.mvc.async.request-timeout = 45s (application.yml:17:3)
    management.endpoints.web.base-path = /manage (application.yml:19:3)
    ");
}

#[test]
fn sessions_that_spring_session_keeps_are_not_in_the_process() {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(shown(application(&[("application.yml", text)]).sessions.as_ref()), expected, "{text}");
    }
    check("spring.session.store-type: redis\nserver.servlet.session.timeout: 30m\n", "-");
    check("spring.session.redis.namespace: a\nserver.servlet.session.timeout: 30m\n", "-");
    let lives = |text| application(&[("application.yml", text)]).session_timeout.map(|it| human(it.value));
    assert_eq!(lives("server.servlet.session.timeout: 600"), Some("600 s".to_owned()));
    assert_eq!(lives("server.servlet.session.cookie.name: a"), Some("1800 s".to_owned()));
    assert_eq!(lives("spring.session.timeout: 5m"), None);
    check("spring.session.store-type: none\n", "spring.session.store-type = none (application.yml:1:1)");
}

#[test]
fn other_servers_have_other_keys() {
    keep_alive(
        &[("application.yml", "server.undertow.no-request-timeout: 20s\n")],
        "20 s: server.undertow.no-request-timeout = 20s (application.yml:1:1)",
    );
    keep_alive(
        &[("application.yml", "server.jetty.threads.max: 20\n")],
        "30 s: server.jetty.connection-idle-timeout = 30s (default of Jetty)",
    );
    keep_alive(
        &[("application.yml", "server.netty.idle-timeout: 15s\n")],
        "15 s: server.netty.idle-timeout = 15s (application.yml:1:1)",
    );
}

#[test]
fn heartbeats_of_the_application_are_found() {
    let text = "\
server: { port: 8080 }
stomp: { heart-beat: [10s, 10s] }
sockjs: { heartbeat-time: 25s, disconnect-delay: 30s }
app: { websocket: { endpoint: /ws } }
";
    let application = application(&[("application.yml", text)]);
    let beats: Vec<_> = application
        .heartbeats
        .iter()
        .map(|it| format!("{} {}", it.what, shown(Some(&it.interval))))
        .collect();
    insta::assert_snapshot!(beats.join("\n"), @r"
    STOMP heart-beat stomp.heart-beat[0] = 10s (application.yml:2:23)
    SockJS heartbeat sockjs.heartbeat-time = 25s (application.yml:3:11)
    ");
    let sock_js = application.sock_js.unwrap();
    assert_eq!(
        shown(sock_js.disconnect_delay.as_ref()),
        "sockjs.disconnect-delay = 30s (application.yml:3:32)"
    );
    assert_eq!(application.web_socket_paths[0].value, "/ws");
}

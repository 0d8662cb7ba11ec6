//! `application.yml`: what is taken over, what is told, what is refused.

use std::time::Duration;

use super::*;
use crate::config::{RelayMode, ShowDetails};

fn variable(name: &str) -> Option<String> {
    match name {
        "REDIS_HOST" => Some("redis.test".to_owned()),
        "DB_PASSWORD" => Some("secret".to_owned()),
        _ => None,
    }
}

fn read(text: &str) -> Result<Loaded, String> {
    parse(text, Path::new("application.yml"), &variable).map_err(|error| error.to_string())
}

/// As the reference systems have it.
const PRODUCTION: &str = r#"
spring:
  application:
    name: chat
  data:
    redis:
      host: ${REDIS_HOST}
      port: ${REDIS_PORT:6380}
      password: ${REDIS_PASSWORD:}
      timeout: 2000
      ssl:
        enabled: true
      lettuce:
        pool: { max-active: 20, max-idle: 10, min-idle: 5 }
  datasource:
    url: jdbc:mysql://db.test:3306/chat?useSSL=true&serverTimezone=UTC
    username: chat
    password: ${DB_PASSWORD}
  lifecycle:
    timeout-per-shutdown-phase: 30s
server:
  port: "${PORT:9090}"
  shutdown: graceful
  use-forward-headers: true
  max-http-header-size: 8KB
  tomcat:
    connectionTimeout: 20000
    keep-alive-timeout: 70000
    max_connections: 10000
    accept-count: 200
    threads:
      max: 200
management:
  endpoints:
    web:
      exposure:
        include: health,prometheus
  endpoint:
    health:
      show-details: when_authorized
      probes:
        enabled: true
logging.level.org.springframework: DEBUG
jwt:
  secret: ${JWT_SECRET}
"#;

#[test]
fn what_is_shared_is_taken_over_and_the_rest_is_listed() {
    let Loaded { config, ignored } = read(PRODUCTION).unwrap();
    config.validate().unwrap();
    let tomcat = &config.server.tomcat;
    assert_eq!(config.server.port, 9090);
    assert_eq!(config.server.header_limit(), 8192);
    assert_eq!(config.server.use_forward_headers, Some(true));
    assert_eq!(tomcat.connection_timeout, Duration::from_secs(20));
    assert_eq!(tomcat.keep_alive_timeout, Duration::from_secs(70));
    assert_eq!((tomcat.max_connections, tomcat.accept_count), (10_000, 200));
    assert_eq!(config.drain, Duration::from_secs(30));
    let redis = &config.relay.redis;
    assert_eq!(config.relay.mode, RelayMode::Redis);
    assert_eq!((redis.host.as_str(), redis.port), ("redis.test", 6380));
    assert_eq!((redis.timeout, redis.ssl.enabled), (Duration::from_secs(2), true));
    assert_eq!(config.store.url.0, "mysql://db.test:3306/chat");
    assert_eq!(config.store.username.as_deref(), Some("chat"));
    assert_eq!(config.management.endpoint.health.show_details, ShowDetails::Never);
    assert_eq!(config.without_effect().len(), 1);
    let expected = [
        "jwt.secret",
        "logging.level.org.springframework",
        "management.endpoint.health.probes.enabled",
        "management.endpoints.web.exposure.include",
        "spring.application.name",
        "spring.data.redis.lettuce.pool.max-active",
        "spring.data.redis.lettuce.pool.max-idle",
        "spring.data.redis.lettuce.pool.min-idle",
    ];
    assert_eq!(ignored, expected);
}

#[test]
fn idle_connections_end_with_tomcats_connection_timeout_unless_told_otherwise() {
    #[track_caller]
    fn check(text: &str, seconds: u64) {
        let timeout = read(text).unwrap().config.server.tomcat.keep_alive_timeout;
        assert_eq!(timeout, Duration::from_secs(seconds), "{text}");
    }
    check("server.tomcat.connection-timeout: 20000\n", 20);
    check("server.connection-timeout: 30s\n", 30);
    check("server.tomcat: { connection-timeout: 20000, keep-alive-timeout: 70000 }\n", 70);
    check("server.port: 1\n", 70);
}

#[test]
fn documents_hold_for_their_profiles() {
    let text = "server.port: 1\nspring.profiles.active: prod\n---\n\
                spring.config.activate.on-profile: prod\nserver: { port: 2 }\n---\n\
                spring.config.activate.on-profile: test\nserver: { port: 3 }\n";
    assert_eq!(read(text).unwrap().config.server.port, 2);
    let test = |name: &str| (name == "SPRING_PROFILES_ACTIVE").then(|| "test".to_owned());
    assert_eq!(parse(text, Path::new("a.yml"), &test).unwrap().config.server.port, 3);
    assert_eq!(
        read("server.port: 1\n---\nspring.profiles: x\nserver.port: 2\n").unwrap().config.server.port,
        1
    );
}

#[test]
fn lists_are_written_in_either_way() {
    let origins = |text: &str| read(text).unwrap().config.websocket.allowed_origins;
    let expected = ["https://a.test", "https://b.test"];
    assert_eq!(origins("websocket.allowed-origins: https://a.test, https://b.test"), expected);
    assert_eq!(origins("websocket:\n  allowedOrigins:\n  - https://a.test\n  - https://b.test\n"), expected);
}

#[track_caller]
fn fails_with(text: &str, expected: &str) {
    let error = read(text).unwrap_err();
    assert!(error.starts_with("application.yml: "), "{error}");
    assert!(error.contains(expected), "{error}");
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    fails_with(
        "server:\n  tomcat:\n    keepalive: 3s\n",
        "server.tomcat.keepalive: unknown field `keepalive`",
    );
    fails_with("server:\n  tomcat:\n    keepalive: 3s\n", "at line 3 column 16");
    fails_with("---\nspring: {}\n---\nserver:\n  port: 99999\n", "at line 5 column 9");
    fails_with("server.tomcat.keep-alive-timeout: soon\n", "\"soon\" is no duration");
    fails_with("spring.datasource.password: ${NOTHING}\n", "nothing is known of the placeholder \"NOTHING\"");
    fails_with("server.ssl.key-store: keys.p12\n", "Java key stores are not read");
    fails_with("server: [1\n", "YAML: ");
}

#[test]
fn a_file_is_springs_by_its_name_or_its_keys() {
    let is = |text: &str, name: &str| is_spring(text, Path::new(name));
    assert!(is("server: {}", "conf/application.yml"));
    assert!(is("server: {}", "application-prod.yaml"));
    assert!(is("server: {}\nspring:\n  a: 1\n", "backend.yml"));
    assert!(!is("server: {}\n", "backend.yml"));
    assert!(!is("# spring:\n", "backend.yml"));
}

#[test]
fn a_cluster_and_the_older_keys_of_redis_are_known() {
    let Loaded { config, .. } = read("spring.redis:\n  cluster.nodes: a:6379,b:6379\n  ssl: true\n").unwrap();
    assert_eq!(config.relay.mode, RelayMode::Redis);
    assert_eq!(config.relay.redis.cluster.nodes, ["a:6379", "b:6379"]);
    assert!(config.relay.redis.ssl.enabled);
    let chosen = read("spring.redis.host: a\nrelay.mode: streams\n").unwrap().config.relay.mode;
    assert_eq!(chosen, RelayMode::Streams);
}

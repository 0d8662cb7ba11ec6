//! Health over HTTP: addresses, statuses, media types.

use albeit_backend::config::{RelayMode, ShowDetails};
use albeit_backend::health::{Health, HealthIndicator};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::harness::{start, status};

/// A component of an embedder.
struct Broken;

impl HealthIndicator for Broken {
    fn health(&self) -> BoxFuture<'_, Health> {
        std::future::ready(Health::down("connection refused")).boxed()
    }
}

#[tokio::test]
async fn a_component_that_is_down_makes_health_503_and_leaves_readiness() {
    let server = start(|config| config.management.endpoint.health.show_details = ShowDetails::Always);
    server.services.health.register("ledger", Broken);
    let (code, body) = server.get("/health").await;
    assert_eq!(code, 503);
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["status"], "DOWN");
    assert_eq!(body["components"]["ledger"]["details"]["error"], "connection refused");
    assert_eq!(body["components"]["ping"]["status"], "UP");
    assert_eq!(server.get("/actuator/health/ledger").await.0, 503);
    assert_eq!(server.get("/actuator/health/ping").await.0, 200);
    assert_eq!(server.get("/actuator/health/nothing").await.0, 404);
    assert_eq!(server.get("/actuator/health/readiness").await.0, 200);
    assert_eq!(server.get("/actuator/health/liveness").await.0, 200);
}

#[tokio::test]
async fn readiness_and_the_overall_status_depend_on_what_the_settings_say() {
    let server = start(|config| {
        let management = &mut config.management;
        management.health.optional = vec!["ledger".to_owned()];
        management.endpoint.health.group.readiness.include =
            vec!["readinessState".to_owned(), "ledger".to_owned()];
    });
    server.services.health.register("ledger", Broken);
    assert_eq!(server.get("/actuator/health").await, (200, r#"{"status":"UP"}"#.to_owned()));
    assert_eq!(server.get("/actuator/health/readiness").await, (503, r#"{"status":"DOWN"}"#.to_owned()));
}

#[tokio::test]
async fn the_media_type_is_the_actuators_or_json_for_those_who_ask() {
    let server = start(|_| {});
    let mut tcp = server.tcp().await;
    for (path, accept, expected) in [
        ("/actuator/health", "*/*", "application/vnd.spring-boot.actuator.v3+json"),
        ("/actuator/health/liveness", "application/json", "application/json"),
        ("/health", "*/*", "application/json"),
    ] {
        tcp.send(&format!("GET {path} HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\n\r\n")).await;
        let (head, _) = tcp.response().await;
        assert_eq!(status(&head), 200);
        assert!(head.contains(&format!("\r\ncontent-type: {expected}\r\n")), "{head}");
    }
}

#[tokio::test]
async fn the_gateways_health_counts_its_connections() {
    let server = start(|_| {});
    let _stomp = server.stomp().await;
    let (code, body) = server.get("/health/websocket").await;
    assert_eq!(code, 200);
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["status"], "healthy");
    assert_eq!(body["connections"], serde_json::json!({ "websocket": 1, "tcp": 2, "max": 10000 }));
}

#[tokio::test]
async fn what_the_server_uses_is_a_component() {
    let server = start(|config| {
        config.management.endpoint.health.show_details = ShowDetails::Always;
        config.management.endpoint.health.cache.time_to_live = std::time::Duration::ZERO;
        config.relay.mode = RelayMode::Redis;
        // Nobody listens there.
        config.relay.redis.port = 1;
    });
    let health = async || {
        let (code, body) = server.get("/actuator/health").await;
        (code, serde_json::from_str::<serde_json::Value>(&body).unwrap())
    };
    let (code, mut body) = health().await;
    assert_eq!(code, 200, "an instance without its Redis still serves its clients");
    while body["components"]["store"]["status"] != "UP" {
        tokio::task::yield_now().await;
        body = health().await.1;
    }
    assert_eq!(body["components"]["store"]["details"]["database"], "SQLite");
    assert_eq!(body["components"]["redis"]["status"], "DOWN");
    assert_eq!(server.get("/actuator/health/redis").await.0, 503);
}

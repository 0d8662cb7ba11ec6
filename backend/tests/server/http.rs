//! HTTP: routes, malformed requests, timers.

use std::time::Duration;

use albeit_backend::config::{ForwardHeadersStrategy, ServerConfig};
use tokio::time::Instant;

use crate::harness::{start, status};

const GET: &str = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn health_metrics_and_the_page_are_served() {
    let server = start(|_| {});
    for path in ["/health", "/actuator/health", "/actuator/health/readiness"] {
        assert_eq!(server.get(path).await, (200, r#"{"status":"UP"}"#.to_owned()));
    }
    let (code, page) = server.get("/").await;
    assert!(code == 200 && page.contains("/assets/stomp.umd.min.js"));
    assert!(server.get("/assets/stomp.umd.min.js").await.1.contains("StompJs"));
    let (code, metrics) = server.get("/metrics").await;
    assert_eq!(code, 200);
    assert!(metrics.contains("http_requests_total{status=\"200\"} 5"));
    assert_eq!(server.get("/nowhere").await.0, 404);
}

#[tokio::test]
async fn a_wrong_method_is_answered_with_the_right_ones() {
    let server = start(|_| {});
    let mut tcp = server.tcp().await;
    tcp.send("DELETE /health HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (head, _) = tcp.response().await;
    assert_eq!(status(&head), 405);
    assert!(head.contains("\r\nallow: get, head, options\r\n"), "{head}");
}

#[tokio::test]
async fn whoami_tells_what_the_server_saw() {
    let server = start(|_| {});
    let mut tcp = server.tcp().await;
    tcp.send(GET).await;
    tcp.response().await;
    tcp.send(
        "POST /whoami?a=1 HTTP/1.1\r\nHost: example.com\r\nX-Forwarded-For: 6.6.6.6, 203.0.113.7\r\n\
         X-Forwarded-Proto: https\r\nX-Forwarded-Port: 8443\r\nContent-Length: 3\r\n\r\nabc",
    )
    .await;
    let (_, body) = tcp.response().await;
    let seen: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(seen["instance"], "b1");
    assert_eq!(seen["method"], "POST");
    assert_eq!(seen["uri"], "/whoami?a=1");
    assert_eq!(seen["version"], "HTTP/1.1");
    assert_eq!(seen["remote_addr"], tcp.0.local_addr().unwrap().to_string());
    assert_eq!(seen["local_addr"], server.address.to_string());
    assert_eq!(seen["headers"][0], serde_json::json!(["host", "example.com"]));
    assert_eq!(seen["body_bytes"], 3);
    assert_eq!(
        seen["forwarded"],
        serde_json::json!({ "client": "203.0.113.7", "proto": "https", "port": 8443 })
    );
    assert_eq!(seen["connection"], serde_json::json!({ "id": 1, "requests": 2 }));
}

#[tokio::test]
async fn malformed_requests_get_their_status_and_the_next_client_is_served() {
    let server = start(|_| {});
    let long = "x".repeat(9000);
    let many: String = (0..101).map(|n| format!("X-{n}: 1\r\n")).collect();
    for (request, expected) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), 400),
        (
            "POST /whoami HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\
             Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                .to_owned(),
            400,
        ),
        (
            "POST /whoami HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
             Content-Length: 3\r\n\r\n0\r\n\r\n"
                .to_owned(),
            400,
        ),
        ("\u{16}\u{3}\u{1}\r\n\r\n".to_owned(), 400),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), 431),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(70_000)), 431),
    ] {
        let mut tcp = server.tcp().await;
        tcp.send(&request).await;
        let (head, _) = tcp.response().await;
        assert_eq!(status(&head), expected, "{request:.60}");
        assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
        tcp.end().await;
    }
    assert_eq!(server.get("/health").await.0, 200);
}

#[tokio::test]
async fn a_body_that_nobody_wants_does_not_cost_the_connection() {
    let server = start(|_| {});
    let mut tcp = server.tcp().await;
    tcp.send("POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 8388608\r\n\r\n").await;
    tcp.send(&"x".repeat(8 << 20)).await;
    let (head, _) = tcp.response().await;
    assert_eq!(status(&head), 404);
    assert!(!head.contains("\r\nconnection: close\r\n"), "{head}");
    tcp.send(GET).await;
    assert_eq!(status(&tcp.response().await.0), 200);
}

#[tokio::test]
async fn http_1_0_needs_no_host() {
    let server = start(|_| {});
    let mut tcp = server.tcp().await;
    tcp.send("GET /health HTTP/1.0\r\n\r\n").await;
    assert_eq!(status(&tcp.response().await.0), 200);
}

#[tokio::test]
async fn an_idle_connection_lives_for_the_keep_alive_timeout() {
    let server = start(|config| {
        config.server.tomcat.connection_timeout = Duration::from_millis(200);
        config.server.tomcat.keep_alive_timeout = Duration::from_millis(700);
    });
    let mut tcp = server.tcp().await;
    tcp.send(GET).await;
    tcp.response().await;
    // Longer than the connection timeout: the timers are two.
    let reused = Instant::now() + Duration::from_millis(450);
    tokio::time::sleep_until(reused).await;
    tcp.send(GET).await;
    assert_eq!(status(&tcp.response().await.0), 200);
    let idle = Instant::now();
    assert_eq!(tcp.end().await, "");
    let lived = idle.elapsed();
    assert!(lived >= Duration::from_millis(690), "closed after {lived:?}");
    assert!(lived < Duration::from_millis(1700), "closed after {lived:?}");
}

#[tokio::test]
async fn a_head_must_come_within_the_connection_timeout_however_it_drips() {
    let server = start(|config| {
        config.server.tomcat.connection_timeout = Duration::from_millis(300);
    });
    let start = Instant::now();
    let mut silent = server.tcp().await;
    assert_eq!(silent.end().await, "");
    assert!(start.elapsed() >= Duration::from_millis(290));
    let mut dripping = server.tcp().await;
    let start = Instant::now();
    let mut every = tokio::time::interval(Duration::from_millis(50));
    let mut ended = false;
    for byte in GET.bytes().cycle().take(60) {
        every.tick().await;
        // The server closes in between: writing fails from then on.
        if tokio::io::AsyncWriteExt::write_all(&mut dripping.0, &[byte.max(b'A')]).await.is_err() {
            ended = true;
            break;
        }
    }
    assert!(ended && start.elapsed() >= Duration::from_millis(290), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_connection_above_the_limit_is_refused_with_503() {
    let server = start(|config| config.server.tomcat.max_connections = 1);
    let mut first = server.tcp().await;
    first.send(GET).await;
    first.response().await;
    let mut second = server.tcp().await;
    let (head, _) = second.response().await;
    assert_eq!(status(&head), 503);
    assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
    drop(first);
    while server.services.metrics.http_connections_active.get() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.get("/health").await.0, 200);
}

#[tokio::test]
async fn the_head_may_be_as_large_as_any_name_of_the_setting_says() {
    let head = format!("GET /health HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(9000));
    for change in [
        (|server| server.max_http_request_header_size = Some(16 << 10)) as fn(&mut ServerConfig),
        |server| server.max_http_header_size = Some(16 << 10),
        |server| server.tomcat.max_http_header_size = 16 << 10,
    ] {
        let server = start(|config| change(&mut config.server));
        let mut tcp = server.tcp().await;
        tcp.send(&head).await;
        assert_eq!(status(&tcp.response().await.0), 200);
    }
}

#[tokio::test]
async fn head_is_get_without_a_body_and_options_tells_the_methods() {
    let server = start(|_| {});
    let mut tcp = server.tcp().await;
    tcp.send("HEAD /health HTTP/1.1\r\nHost: a\r\n\r\nOPTIONS /health HTTP/1.1\r\nHost: a\r\n\r\n").await;
    // A body would be taken for the head of the second response.
    let head = tcp.head().await;
    assert_eq!(status(&head), 200);
    assert!(head.contains("\r\ncontent-length: 15\r\n"), "{head}");
    let (head, body) = tcp.response().await;
    assert_eq!((status(&head), body.as_str()), (200, ""));
    assert!(head.contains("\r\nallow: get, head, options\r\n"), "{head}");
}

#[tokio::test]
async fn a_connection_closes_after_the_last_request_it_may_have() {
    let server = start(|config| config.server.tomcat.max_keep_alive_requests = 2);
    let mut tcp = server.tcp().await;
    tcp.send(GET).await;
    assert!(!tcp.response().await.0.contains("\r\nconnection: close\r\n"));
    tcp.send(GET).await;
    assert!(tcp.response().await.0.contains("\r\nconnection: close\r\n"));
    assert_eq!(tcp.end().await, "");
}

#[tokio::test]
async fn forwarded_headers_are_ignored_when_the_settings_say_so() {
    let server = start(|config| config.server.forward_headers_strategy = Some(ForwardHeadersStrategy::None));
    let mut tcp = server.tcp().await;
    tcp.send("GET /whoami HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n").await;
    let seen: serde_json::Value = serde_json::from_str(&tcp.response().await.1).unwrap();
    assert_eq!(seen["forwarded"]["client"], "127.0.0.1");
}

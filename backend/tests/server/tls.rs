//! TLS that ends at the backend.

use std::time::Duration;

use albeit_backend::app::Demo;
use albeit_backend::config::Config;
use albeit_backend::server::Server;
use futures_util::SinkExt;
use prometheus::IntCounterVec;
use rustls::HandshakeKind;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;
use tokio_websockets::{CloseCode, Message};

use crate::harness::{DEADLINE, Running, soon, start, status};
use crate::tls_client::Pair;

const GET: &str = "GET /whoami HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn count(metric: &IntCounterVec, label: &str) -> u64 {
    metric.with_label_values(&[label]).get()
}

/// Waits until something was counted so often.
async fn counted(metric: &IntCounterVec, label: &str, times: u64) {
    let deadline = Instant::now() + DEADLINE;
    while count(metric, label) < times {
        assert!(Instant::now() < deadline, "{label} was not counted {times} times");
        tokio::task::yield_now().await;
    }
    assert_eq!(count(metric, label), times, "{label}");
}

fn serve(pair: &Pair) -> Running {
    start(|config| pair.serve(config))
}

#[tokio::test]
async fn whoami_tells_what_tls_agreed_on() {
    let pair = Pair::new();
    let server = serve(&pair);
    for (version, alpn, protocol, ciphers) in [
        (&rustls::version::TLS13, &["http/1.1"][..], "TLSv1.3", "TLS_AES_"),
        (&rustls::version::TLS12, &[], "TLSv1.2", "TLS_ECDHE_ECDSA_WITH_AES_"),
        (&rustls::version::TLS13, &["h2", "http/1.1"], "TLSv1.3", "TLS_AES_"),
    ] {
        let mut client = pair.client_with(alpn, &[version]).connect(server.address).await.unwrap();
        client.send(GET).await;
        let (head, body) = client.response().await;
        assert_eq!(status(&head), 200);
        let seen: Value = serde_json::from_str(&body).unwrap();
        let cipher = seen["tls"]["cipher"].as_str().unwrap();
        assert!(cipher.starts_with(ciphers), "{cipher}");
        let alpn = if alpn.is_empty() { Value::Null } else { json!("http/1.1") };
        let tls = json!({ "protocol": protocol, "cipher": cipher, "server_name": "localhost", "alpn": alpn });
        assert_eq!(seen["tls"], tls);
        let forwarded = json!({ "client": "127.0.0.1", "proto": "https", "port": server.address.port() });
        assert_eq!(seen["forwarded"], forwarded);
        assert_eq!(seen["proxy_protocol"], Value::Null);
    }
    let handshakes = &server.services.metrics.tls.handshakes;
    assert_eq!((count(handshakes, "TLSv1.2"), count(handshakes, "TLSv1.3")), (1, 2));
}

#[tokio::test]
async fn web_sockets_of_both_kinds_work_over_tls() {
    let pair = Pair::new();
    let server = serve(&pair);
    let client = pair.client();
    let mut echo = client.web_socket(server.address, "/echo").await;
    let large = "x".repeat(3 << 20);
    for text in ["", "hello", &large] {
        echo.send(text).await;
        assert_eq!(echo.text().await, text);
    }
    let mut stomp = client.web_socket(server.address, "/ws").await;
    stomp.send("CONNECT\naccept-version:1.2\nheart-beat:0,0\n\n\0").await;
    assert!(stomp.text().await.starts_with("CONNECTED\nversion:1.2\n"));
    stomp.send("SUBSCRIBE\nid:0\ndestination:/topic/a\nreceipt:r\n\n\0").await;
    assert_eq!(stomp.text().await, "RECEIPT\nreceipt-id:r\n\n\0");
    let close = Message::close(Some(CloseCode::NORMAL_CLOSURE), "");
    stomp.0.send(close).await.unwrap();
    assert_eq!(stomp.close_code().await, 1000);
}

#[tokio::test]
async fn a_session_is_resumed() {
    let pair = Pair::new();
    let server = serve(&pair);
    let client = pair.client();
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let mut tls = client.connect(server.address).await.unwrap();
        // The ticket comes with the answer.
        tls.send(GET).await;
        tls.response().await;
        kinds.push(tls.0.get_ref().1.handshake_kind().unwrap());
    }
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed]);
}

#[tokio::test]
async fn failed_handshakes_are_closed_and_counted_by_reason() {
    let pair = Pair::new();
    let server = start(|config| {
        pair.serve(config);
        config.server.tomcat.connection_timeout = Duration::from_millis(500);
    });
    let errors = &server.services.metrics.tls.handshake_errors;
    let mut plain = server.tcp().await;
    plain.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut answer = Vec::new();
    // An alert of TLS, and no HTTP.
    let _reset = plain.0.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    counted(errors, "not_tls", 1).await;
    let h2 = pair.client_with(&["h2"], rustls::ALL_VERSIONS).connect(server.address).await;
    assert!(h2.is_err(), "a client without http/1.1 was served");
    counted(errors, "protocol", 1).await;
    let stranger = Pair::new().client().connect(server.address).await;
    assert!(stranger.is_err(), "the certificate of another is trusted");
    counted(errors, "alert", 1).await;
    drop(server.tcp().await);
    counted(errors, "closed", 1).await;
    // The handshake has one deadline, however it drips.
    let begin = Instant::now();
    let mut slow = server.tcp().await;
    slow.send("\u{16}\u{3}\u{1}").await;
    assert_eq!(slow.end().await, "");
    assert!(begin.elapsed() >= Duration::from_millis(490), "{:?}", begin.elapsed());
    counted(errors, "timeout", 1).await;
    assert_eq!(server.services.metrics.http_connections_active.get(), 0);
    pair.client().connect(server.address).await.unwrap();
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_by_itself_and_open_connections_go_on() {
    let pair = Pair::new();
    let server = serve(&pair);
    let old = pair.client();
    let mut echo = old.web_socket(server.address, "/echo").await;
    pair.renew();
    counted(&server.services.metrics.tls.certificate_reloads, "ok", 1).await;
    assert!(old.connect(server.address).await.is_err(), "the old certificate is still served");
    let new = pair.client().connect(server.address).await.unwrap();
    assert_eq!(new.0.get_ref().1.peer_certificates().unwrap(), [pair.leaf()]);
    echo.send("still here").await;
    assert_eq!(echo.text().await, "still here");
}

#[tokio::test]
async fn a_bad_pair_leaves_the_old_one_in_force_until_a_good_one_comes() {
    let pair = Pair::new();
    let server = serve(&pair);
    let reloads = &server.services.metrics.tls.certificate_reloads;
    let client = pair.client();
    pair.spoil();
    counted(reloads, "failed", 1).await;
    client.connect(server.address).await.unwrap();
    pair.renew();
    counted(reloads, "ok", 1).await;
    pair.client().connect(server.address).await.unwrap();
    assert_eq!(count(reloads, "failed"), 1, "one bad pair is one failure");
}

#[tokio::test]
async fn an_idle_tls_connection_lives_for_the_keep_alive_timeout() {
    let pair = Pair::new();
    let server = start(|config| {
        pair.serve(config);
        config.server.tomcat.connection_timeout = Duration::from_secs(5);
        config.server.tomcat.keep_alive_timeout = Duration::from_millis(500);
    });
    let mut client = pair.client().connect(server.address).await.unwrap();
    client.send(GET).await;
    client.response().await;
    let idle = Instant::now();
    // With close_notify: without it the end is an error to the client.
    let ended = soon(client.0.read_to_end(&mut Vec::new())).await;
    assert_eq!(ended.map_err(|error| error.to_string()), Ok(0));
    let lived = idle.elapsed();
    assert!(lived >= Duration::from_millis(490) && lived < Duration::from_secs(4), "{lived:?}");
}

#[tokio::test]
async fn above_the_limit_a_tls_connection_is_closed_unanswered() {
    let pair = Pair::new();
    let server = start(|config| {
        pair.serve(config);
        config.server.tomcat.max_connections = 1;
    });
    let _first = pair.client().connect(server.address).await.unwrap();
    let mut second = server.tcp().await;
    assert_eq!(second.end().await, "");
    assert_eq!(server.services.metrics.http_connections_refused.get(), 1);
}

#[tokio::test]
async fn a_drain_does_not_wait_for_a_handshake() {
    let pair = Pair::new();
    let mut server = start(|config| {
        pair.serve(config);
        config.drain = Duration::from_secs(4);
    });
    let mut silent = server.tcp().await;
    silent.send("\u{16}").await;
    let begin = Instant::now();
    server.shutdown.cancel();
    server.stopped().await;
    assert!(begin.elapsed() < Duration::from_millis(3500), "took {:?}", begin.elapsed());
    assert_eq!(silent.end().await, "");
}

#[tokio::test]
async fn a_bad_certificate_opens_no_socket() {
    let pair = Pair::new();
    pair.spoil();
    let mut config = Config::default();
    config.server.port = 0;
    pair.serve(&mut config);
    let error = Server::bind(config, std::sync::Arc::new(Demo::new("b1"))).expect_err("the key fits not");
    let said = error.to_string();
    assert!(said.starts_with("server.ssl.certificate-private-key: /"), "{said}");
    assert!(said.contains("k.pem: does not belong to the certificate /"), "{said}");
}

//! The PROXY protocol in front of HTTP and of TLS.

use std::time::Duration;

use albeit_backend::config::{Config, ProxyProtocolMode};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use tokio_websockets::ClientBuilder;

use crate::harness::{DEADLINE, Running, Tcp, Ws, soon, start, status};
use crate::tls_client::Pair;

const GET: &[u8] = b"GET /whoami HTTP/1.1\r\nHost: a\r\n\r\n";
const V1: &[u8] = b"PROXY TCP4 198.51.100.7 192.0.2.1 56324 8443\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f\xc6\x33\x64\x07\xc0\0\x02\x01\xdc\x04\x20\xfb\x04\0\0";
const V2_SIX: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24\
    \x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\xdc\x04\x01\xbb";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

fn set(config: &mut Config, mode: ProxyProtocolMode, trusted: &str) {
    config.server.proxy_protocol.mode = mode;
    config.server.proxy_protocol.trusted_peers = vec![trusted.parse().unwrap()];
}

fn required() -> Running {
    start(|config| set(config, ProxyProtocolMode::Required, "127.0.0.0/8"))
}

async fn sent(server: &Running, bytes: &[u8]) -> Tcp {
    let mut tcp = server.tcp().await;
    soon(tcp.0.write_all(bytes)).await.unwrap();
    tcp
}

async fn seen<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Tcp<S>) -> Value {
    let (head, body) = client.response().await;
    assert_eq!(status(&head), 200, "{head}");
    serde_json::from_str(&body).unwrap()
}

/// Waits until a refusal was counted once, and nothing else was.
async fn refused(server: &Running, reason: &str) {
    let errors = &server.services.metrics.proxy_protocol.errors;
    let deadline = Instant::now() + DEADLINE;
    while errors.with_label_values(&[reason]).get() == 0 {
        assert!(Instant::now() < deadline, "{reason} was not counted");
        tokio::task::yield_now().await;
    }
    for other in ["closed", "malformed", "missing", "timeout", "untrusted"] {
        assert_eq!(errors.with_label_values(&[other]).get(), u64::from(other == reason), "{other}");
    }
}

#[tokio::test]
async fn the_client_is_the_one_that_the_header_names() {
    let server = required();
    for (header, version, client, port) in
        [(V1, 1, "198.51.100.7", 8443), (V2, 2, "198.51.100.7", 8443), (V2_SIX, 2, "2001:db8::7", 443)]
    {
        // The request comes in the same segment.
        let mut tcp = sent(&server, &[header, GET].concat()).await;
        let seen = seen(&mut tcp).await;
        assert_eq!(seen["forwarded"], json!({ "client": client, "proto": "http", "port": port }));
        assert_eq!(seen["remote_addr"], tcp.0.local_addr().unwrap().to_string());
        assert_eq!(seen["local_addr"], server.address.to_string());
        let report = &seen["proxy_protocol"];
        assert_eq!((&report["version"], &report["command"]), (&json!(version), &json!("PROXY")));
        let source = report["source"].as_str().unwrap();
        assert!(source.contains(client) && source.ends_with(":56324"), "{source}");
        let destination = report["destination"].as_str().unwrap();
        assert!(destination.ends_with(&format!(":{port}")), "{destination}");
    }
    let headers = &server.services.metrics.proxy_protocol.headers;
    assert_eq!(["1", "2"].map(|version| headers.with_label_values(&[version]).get()), [1, 2]);
}

#[tokio::test]
async fn local_is_the_peer_itself() {
    let server = required();
    for (header, version, command) in [(LOCAL, 2, "LOCAL"), (b"PROXY UNKNOWN\r\n", 1, "PROXY")] {
        let mut tcp = sent(&server, &[header, GET].concat()).await;
        let seen = seen(&mut tcp).await;
        assert_eq!(seen["forwarded"]["client"], "127.0.0.1");
        assert_eq!(seen["forwarded"]["port"], server.address.port());
        assert_eq!(
            seen["proxy_protocol"],
            json!({ "version": version, "command": command, "source": null, "destination": null })
        );
    }
}

#[tokio::test]
async fn x_forwarded_for_counts_only_if_the_headers_source_is_trusted_with_it() {
    let server = required();
    let request = b"GET /whoami HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n";
    let mut tcp = sent(&server, &[V1, request].concat()).await;
    assert_eq!(seen(&mut tcp).await["forwarded"]["client"], "198.51.100.7");
    let proxy = b"PROXY TCP4 10.0.0.5 10.0.0.1 1 2\r\n";
    let mut tcp = sent(&server, &[proxy, &request[..]].concat()).await;
    assert_eq!(seen(&mut tcp).await["forwarded"]["client"], "6.6.6.6");
}

#[tokio::test]
async fn it_comes_before_tls_and_byte_by_byte() {
    let pair = Pair::new();
    let server = start(|config| {
        set(config, ProxyProtocolMode::Required, "127.0.0.1/32");
        pair.serve(config);
    });
    for header in [V1, V2] {
        let mut tcp = server.tcp().await;
        tcp.0.set_nodelay(true).unwrap();
        for byte in header {
            soon(tcp.0.write_all(&[*byte])).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut tls = pair.client().on(tcp.0).await.unwrap();
        soon(tls.0.write_all(GET)).await.unwrap();
        let seen = seen(&mut tls).await;
        assert_eq!(seen["forwarded"], json!({ "client": "198.51.100.7", "proto": "https", "port": 8443 }));
        assert_eq!(seen["tls"]["server_name"], "localhost");
    }
}

#[tokio::test]
async fn a_web_socket_works_behind_header_and_tls() {
    let pair = Pair::new();
    let server = start(|config| {
        set(config, ProxyProtocolMode::Optional, "127.0.0.1/32");
        pair.serve(config);
    });
    let tls = pair.client().on(sent(&server, V2).await.0).await.unwrap();
    let uri = format!("wss://localhost:{}/ws", server.address.port()).parse().unwrap();
    let (ws, response) = soon(ClientBuilder::from_uri(uri).connect_on(tls.0)).await.unwrap();
    assert_eq!(response.status(), 101);
    let mut stomp = Ws(ws);
    stomp.send("CONNECT\naccept-version:1.2\nheart-beat:0,0\n\n\0").await;
    assert!(stomp.text().await.starts_with("CONNECTED\nversion:1.2\n"));
}

#[tokio::test]
async fn only_the_first_header_is_read() {
    let server = required();
    let mut tcp = sent(&server, &[V2, V1, GET].concat()).await;
    assert_eq!(status(&tcp.response().await.0), 400);
    let pair = Pair::new();
    let server = start(|config| {
        set(config, ProxyProtocolMode::Required, "127.0.0.1/32");
        pair.serve(config);
    });
    let tcp = sent(&server, &[V2, V2].concat()).await;
    assert!(pair.client().on(tcp.0).await.is_err());
    let errors = &server.services.metrics.tls.handshake_errors;
    assert_eq!(errors.with_label_values(&["not_tls"]).get(), 1);
}

#[tokio::test]
async fn a_malformed_header_closes_the_connection() {
    for header in
        [&b"PROXY TCP4 a b 1 2\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c", &[V1, b"\n"].concat()[1..]]
    {
        let server = required();
        assert_eq!(sent(&server, &[header, GET].concat()).await.end().await, "");
        let is_header = header[0] != b'R';
        refused(&server, if is_header { "malformed" } else { "missing" }).await;
    }
    // Malformed is malformed where a header may be left out, too.
    let server = start(|config| set(config, ProxyProtocolMode::Optional, "127.0.0.0/8"));
    assert_eq!(sent(&server, b"PROXY TCP9\r\n").await.end().await, "");
    refused(&server, "malformed").await;
}

#[tokio::test]
async fn a_required_header_that_is_missing_closes_the_connection() {
    let server = required();
    assert_eq!(sent(&server, GET).await.end().await, "");
    refused(&server, "missing").await;
}

#[tokio::test]
async fn a_header_of_a_stranger_is_not_believed() {
    let server = start(|config| set(config, ProxyProtocolMode::Required, "10.0.0.0/8"));
    assert_eq!(sent(&server, &[V1, GET].concat()).await.end().await, "");
    refused(&server, "untrusted").await;
    // Without need of a header the stranger is served, and its header is none.
    let server = start(|config| set(config, ProxyProtocolMode::Optional, "10.0.0.0/8"));
    assert_eq!(seen(&mut sent(&server, GET).await).await["forwarded"]["client"], "127.0.0.1");
    let mut tcp = sent(&server, &[V1, GET].concat()).await;
    assert_eq!(status(&tcp.response().await.0), 400);
}

#[tokio::test]
async fn an_optional_header_may_be_missing() {
    let server = start(|config| set(config, ProxyProtocolMode::Optional, "127.0.0.0/8"));
    // Begins as version 1 does, and loses nothing by that.
    let request = b"PROPFIND /whoami HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut tcp = server.tcp().await;
    tcp.0.set_nodelay(true).unwrap();
    for byte in request {
        soon(tcp.0.write_all(&[*byte])).await.unwrap();
        tokio::task::yield_now().await;
    }
    let without = seen(&mut tcp).await;
    assert_eq!((&without["method"], &without["proxy_protocol"]), (&json!("PROPFIND"), &Value::Null));
    let mut tcp = sent(&server, &[V1, GET].concat()).await;
    assert_eq!(seen(&mut tcp).await["forwarded"]["client"], "198.51.100.7");
}

#[tokio::test]
async fn off_a_header_is_a_malformed_request() {
    let server = start(|_| {});
    for header in [V1, V2] {
        assert_eq!(status(&sent(&server, &[header, GET].concat()).await.response().await.0), 400);
    }
}

#[tokio::test]
async fn a_header_has_a_deadline_however_it_drips() {
    let server = start(|config| {
        set(config, ProxyProtocolMode::Required, "127.0.0.0/8");
        config.server.tomcat.connection_timeout = Duration::from_millis(400);
    });
    let begin = Instant::now();
    let mut tcp = server.tcp().await;
    let mut every = tokio::time::interval(Duration::from_millis(50));
    let mut ended = false;
    for byte in V1.iter().take(40) {
        every.tick().await;
        // The server closes in between: writing fails from then on.
        if tcp.0.write_all(&[*byte]).await.is_err() {
            ended = true;
            break;
        }
    }
    assert!(ended && begin.elapsed() >= Duration::from_millis(390), "{:?}", begin.elapsed());
    refused(&server, "timeout").await;
}

#[tokio::test]
async fn who_leaves_within_the_header_is_counted() {
    let server = required();
    drop(sent(&server, &V1[..9]).await);
    refused(&server, "closed").await;
}

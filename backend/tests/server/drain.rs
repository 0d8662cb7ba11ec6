//! Leaving in order.

use std::time::Duration;

use albeit_backend::config::{ShutdownCloseCode, ShutdownMode};
use futures_util::StreamExt;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::harness::{soon, start, status};

const DRAIN: Duration = Duration::from_secs(2);

#[tokio::test]
async fn clients_are_told_and_closed_within_the_drain() {
    let mut server = start(|config| config.drain = DRAIN);
    let mut stomp = server.stomp().await;
    stomp.send("SUBSCRIBE\nid:0\ndestination:/topic/server.events\nreceipt:r\n\n\0").await;
    assert_eq!(stomp.text().await, "RECEIPT\nreceipt-id:r\n\n\0");
    let mut echo = server.web_socket("/echo").await;
    let mut idle = server.tcp().await;
    let health = "GET /actuator/health HTTP/1.1\r\nHost: a\r\n\r\n";
    idle.send(health).await;
    assert_eq!(status(&idle.response().await.0), 200);

    let start = Instant::now();
    server.shutdown.cancel();
    let notice = stomp.text().await;
    assert!(
        notice.ends_with(
            "\n\n{\"message\":\"Server maintenance. Please reconnect in a few seconds.\",\
             \"reconnectInSeconds\":30}\0"
        ),
        "{notice}"
    );
    // An idle connection is not cut: its next request learns of the end.
    idle.send(health).await;
    let (head, body) = idle.response().await;
    assert_eq!((status(&head), body.as_str()), (503, r#"{"status":"OUT_OF_SERVICE"}"#));
    assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
    assert_eq!(stomp.close_code().await, 1001);
    assert_eq!(echo.close_code().await, 1001);
    server.stopped().await;
    assert!(start.elapsed() < DRAIN, "took {:?}", start.elapsed());
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn leaving_takes_its_steps_in_order() {
    let mut server = start(|config| {
        config.drain = Duration::from_secs(6);
        // Long enough that nothing closes before the test has looked around.
        config.shutdown.grace = Duration::from_secs(2);
    });
    let subscribe = "SUBSCRIBE\nid:0\ndestination:/topic/server.events\nreceipt:r\n\n\0";
    let (mut told, silent) = (server.stomp().await, server.stomp().await);
    told.send(subscribe).await;
    assert_eq!(told.text().await, "RECEIPT\nreceipt-id:r\n\n\0");
    let (services, mut flushed) = (server.services.clone(), JoinSet::new());
    flushed.spawn(async move {
        services.lifecycle.flushing().cancelled().await;
        services.metrics.websocket_connections_active.get()
    });

    server.shutdown.cancel();
    // 1. The notice, after which the instance is not ready, but alive.
    assert!(told.text().await.ends_with("\"reconnectInSeconds\":30}\0"));
    assert_eq!(server.get("/actuator/health/readiness").await.0, 503);
    assert_eq!(server.get("/health/websocket").await.0, 503);
    assert_eq!(server.get("/actuator/health/liveness").await.0, 200);
    // 2. Grace: who comes now is served, and who is here may still ask.
    let late = server.stomp().await;
    told.send("SUBSCRIBE\nid:1\ndestination:/topic/a\nreceipt:r2\n\n\0").await;
    assert_eq!(told.text().await, "RECEIPT\nreceipt-id:r2\n\n\0");
    assert!(!server.services.lifecycle.closing().is_cancelled());
    // 3. Each session closes, without another word.
    for mut client in [told, silent, late] {
        assert_eq!(client.close_code().await, 1001);
    }
    assert!(server.services.lifecycle.closing().is_cancelled());
    // 4. Relay and store are written out after the last of them.
    assert_eq!(soon(flushed.join_next()).await.unwrap().unwrap(), 0);
    server.stopped().await;
}

#[tokio::test]
async fn a_restart_is_named_by_its_close_code_when_asked_for() {
    let mut server = start(|config| {
        config.drain = Duration::from_millis(400);
        config.shutdown.close_code = ShutdownCloseCode::ServiceRestart;
    });
    let (mut stomp, mut echo) = (server.stomp().await, server.web_socket("/echo").await);
    server.shutdown.cancel();
    assert_eq!(stomp.close_code().await, 1012);
    assert_eq!(echo.close_code().await, 1012);
    server.stopped().await;
}

#[tokio::test]
async fn when_every_client_has_left_the_server_leaves_too() {
    let mut server = start(|config| config.drain = Duration::from_secs(600));
    let mut stomp = server.stomp().await;
    server.shutdown.cancel();
    stomp.send("DISCONNECT\nreceipt:1\n\n\0").await;
    assert_eq!(stomp.text().await, "RECEIPT\nreceipt-id:1\n\n\0");
    drop(stomp);
    // Long before the grace is over, let alone the drain.
    server.stopped().await;
}

#[tokio::test]
async fn a_server_without_connections_leaves_at_once() {
    let mut server = start(|config| config.drain = Duration::from_secs(600));
    server.shutdown.cancel();
    server.stopped().await;
}

#[tokio::test]
async fn what_does_not_leave_is_dropped_when_the_drain_is_over() {
    let mut server = start(|config| config.drain = Duration::from_millis(500));
    // Neither reads nor answers the close.
    let _echo = server.web_socket("/echo").await;
    let mut half = server.tcp().await;
    half.send("POST /whoami HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab").await;
    let start = Instant::now();
    server.shutdown.cancel();
    server.stopped().await;
    assert!(start.elapsed() < Duration::from_secs(2), "took {:?}", start.elapsed());
}

#[tokio::test]
async fn an_immediate_shutdown_tells_nobody() {
    let mut server = start(|config| {
        config.drain = Duration::from_secs(600);
        config.server.shutdown = ShutdownMode::Immediate;
    });
    let mut stomp = server.stomp().await;
    server.shutdown.cancel();
    server.stopped().await;
    assert!(!matches!(soon(stomp.0.next()).await, Some(Ok(message)) if message.is_close()));
}

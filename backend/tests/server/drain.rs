//! Leaving in order.

use std::time::Duration;

use tokio::time::Instant;

use crate::harness::{start, status};

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

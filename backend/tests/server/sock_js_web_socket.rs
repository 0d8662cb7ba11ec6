//! SockJS frames on a WebSocket.

use std::time::Duration;

use futures_util::StreamExt;

use crate::harness::{soon, start, until};
use crate::sock_js_client::CONNECT;

#[tokio::test]
async fn stomp_rides_on_framed_messages() {
    let server = start(|_| {});
    let mut ws = server.web_socket("/ws/000/abc/websocket").await;
    assert_eq!(ws.text().await, "o");
    // Nothing, and an array of nothing, are nothing.
    for payload in ["", "[]", CONNECT] {
        ws.send(payload).await;
    }
    assert!(ws.text().await.starts_with(r#"a["CONNECTED\nversion:1.2\n"#));
    // A string alone is a message too, and one frame may hold several.
    ws.send(r#""SUBSCRIBE\nid:0\ndestination:/topic/room.a\nreceipt:1\n\n\u0000""#).await;
    assert_eq!(ws.text().await, "a[\"RECEIPT\\nreceipt-id:1\\n\\n\\u0000\"]");
    ws.send(r#"["SEND\ndestination:/app/room.a\n\none\u0000","SEND\ndestination:/app/room.a\n\ntwo\u0000"]"#)
        .await;
    let mut heard = Vec::new();
    while heard.len() < 2 {
        let frame = ws.text().await;
        heard.extend(serde_json::from_str::<Vec<String>>(frame.strip_prefix('a').unwrap()).unwrap());
    }
    assert!(heard[0].contains("\"one\"") && heard[1].contains("\"two\""), "{heard:?}");
    let metrics = &server.services.metrics.sock_js;
    assert_eq!(metrics.sessions_active.with_label_values(&["websocket"]).get(), 1);
    ws.send(r#"["DISCONNECT\n\n\u0000"]"#).await;
    assert_eq!(ws.text().await, "c[1000,\"\"]");
    assert_eq!(ws.close_code().await, 1000);
}

#[tokio::test]
async fn web_sockets_may_share_a_session_id() {
    let server = start(|_| {});
    let mut first = server.web_socket("/ws/000/same/websocket").await;
    let mut second = server.web_socket("/ws/000/same/websocket").await;
    assert_eq!((first.text().await, second.text().await), ("o".to_owned(), "o".to_owned()));
    assert_eq!(server.poll("same").await, "o\n");
}

#[tokio::test]
async fn bad_json_ends_the_connection_without_a_close_frame() {
    let server = start(|_| {});
    for payload in ["[\"x", "x", "[1]", "{}"] {
        let mut ws = server.web_socket("/ws/000/a/websocket").await;
        assert_eq!(ws.text().await, "o");
        ws.send(payload).await;
        let ended = soon(ws.0.next()).await;
        assert!(matches!(ended, None | Some(Err(_))), "{payload}: {ended:?}");
    }
    let closed = &server.services.metrics.sock_js.sessions_closed;
    until(|| closed.with_label_values(&["malformed"]).get() >= 4).await;
}

#[tokio::test]
async fn heart_beats_keep_a_quiet_web_socket() {
    let server = start(|config| config.sockjs.heartbeat_time = Duration::from_millis(50));
    let mut ws = server.web_socket("/ws/000/a/websocket").await;
    for expected in ["o", "h", "h"] {
        assert_eq!(ws.text().await, expected);
    }
}

#[tokio::test]
async fn a_message_above_the_limit_closes_with_its_code() {
    let server = start(|config| config.stomp.message_size_limit = 1024);
    let mut ws = server.web_socket("/ws/000/a/websocket").await;
    assert_eq!(ws.text().await, "o");
    ws.send(&format!("[\"{}\"]", "x".repeat(3000))).await;
    assert_eq!(ws.text().await, "c[1009,\"message too big\"]");
    assert_eq!(ws.close_code().await, 1000);
}

#[tokio::test]
async fn a_server_that_leaves_says_so() {
    let mut server = start(|config| config.drain = Duration::from_millis(500));
    let mut ws = server.web_socket("/ws/000/a/websocket").await;
    assert_eq!(ws.text().await, "o");
    server.shutdown.cancel();
    assert_eq!(ws.text().await, "c[1001,\"server is going away\"]");
    assert_eq!(ws.close_code().await, 1000);
    drop(ws);
    server.stopped().await;
}

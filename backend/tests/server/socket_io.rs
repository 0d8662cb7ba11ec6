//! Engine.IO and Socket.IO as their protocol documents have them, byte by byte.

use std::time::Duration;

use albeit_backend::config::Config;

use crate::harness::{Running, Ws, soon, start, status};

/// Requests of one session that polls.
pub(crate) struct Polling<'a> {
    server: &'a Running,
    pub(crate) sid: String,
}

/// The session id in an open packet.
pub(crate) fn sid(open: &str) -> String {
    let open: serde_json::Value = serde_json::from_str(open.strip_prefix('0').expect(open)).unwrap();
    open["sid"].as_str().unwrap().to_owned()
}

pub(crate) async fn post(server: &Running, path: &str, body: &str) -> (u16, String) {
    let mut tcp = server.tcp().await;
    let length = body.len();
    tcp.send(&format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    ))
    .await;
    let (head, body) = tcp.response().await;
    (status(&head), body)
}

impl<'a> Polling<'a> {
    pub(crate) async fn open(server: &'a Running) -> Self {
        let (status, body) = server.get("/socket.io/?EIO=4&transport=polling").await;
        assert_eq!(status, 200, "{body}");
        Self { server, sid: sid(&body) }
    }

    pub(crate) fn path(&self) -> String {
        format!("/socket.io/?EIO=4&transport=polling&sid={}", self.sid)
    }

    pub(crate) async fn poll(&self) -> (u16, String) {
        self.server.get(&self.path()).await
    }

    pub(crate) async fn post(&self, body: &str) -> (u16, String) {
        post(self.server, &self.path(), body).await
    }

    pub(crate) async fn web_socket(&self) -> Ws {
        self.server.web_socket(&format!("/socket.io/?EIO=4&transport=websocket&sid={}", self.sid)).await
    }

    /// Joins `/chat`.
    pub(crate) async fn join(&self) {
        assert_eq!(self.post("40/chat,").await, (200, "ok".to_owned()));
        let (status, joined) = self.poll().await;
        assert_eq!(status, 200);
        assert!(joined.starts_with(r#"40/chat,{"sid":""#), "{joined}");
    }
}

/// A WebSocket after the open packet.
pub(crate) async fn web_socket(server: &Running) -> Ws {
    let mut ws = server.web_socket("/socket.io/?EIO=4&transport=websocket").await;
    assert!(ws.text().await.starts_with("0{"));
    ws
}

/// A WebSocket in `/chat`.
pub(crate) async fn joined(server: &Running) -> Ws {
    let mut ws = web_socket(server).await;
    ws.send("40/chat,").await;
    assert!(ws.text().await.starts_with(r#"40/chat,{"sid":""#));
    ws
}

fn quick_pings(config: &mut Config) {
    config.socket_io.ping_interval = Duration::from_millis(100);
    config.socket_io.ping_timeout = Duration::from_secs(1);
}

const UNKNOWN: &str = r#"{"code":1,"message":"Session ID unknown"}"#;

#[tokio::test]
async fn the_open_packet_tells_what_the_reference_system_has() {
    let server = start(|_| {});
    let (_, open) = server.get("/socket.io/?EIO=4&transport=polling").await;
    let open: serde_json::Value = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
    assert_eq!(open["sid"].as_str().unwrap().len(), 20);
    assert_eq!(open["upgrades"], serde_json::json!(["websocket"]));
    assert_eq!(open["pingInterval"], 25_000);
    assert_eq!(open["pingTimeout"], 60_000);
    assert_eq!(open["maxPayload"], 1_000_000);
    let mut ws = server.web_socket("/socket.io/?EIO=4&transport=websocket").await;
    assert!(ws.text().await.contains(r#""upgrades":[]"#));
}

#[tokio::test]
async fn requests_that_fit_no_session_are_refused() {
    let server = start(|_| {});
    for (query, body) in [
        ("", r#"{"code":0,"message":"Transport unknown"}"#),
        ("EIO=4&transport=abc", r#"{"code":0,"message":"Transport unknown"}"#),
        ("EIO=4&transport=polling&sid=abc", UNKNOWN),
        ("EIO=4&transport=websocket", r#"{"code":3,"message":"Bad request"}"#),
        ("EIO=3&transport=polling", r#"{"code":5,"message":"Unsupported protocol version"}"#),
    ] {
        assert_eq!(server.get(&format!("/socket.io/?{query}")).await, (400, body.to_owned()), "{query}");
    }
    let answer = post(&server, "/socket.io/?EIO=4&transport=polling", "4a").await;
    assert_eq!(answer, (400, r#"{"code":2,"message":"Bad handshake method"}"#.to_owned()));
    assert_eq!(server.get("/socket.io").await.0, 404);
    let refusals = &server.services.metrics.socket_io.refusals;
    assert_eq!(refusals.with_label_values(&["unknown_session"]).get(), 1);
}

#[tokio::test]
async fn pages_of_allowed_origins_poll_with_credentials() {
    let server = start(|config| config.websocket.allowed_origins = vec!["https://app.example".to_owned()]);
    let request = |method: &str, origin: &str| {
        format!(
            "{method} /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\nOrigin: {origin}\r\n\
             Access-Control-Request-Headers: content-type\r\n\r\n"
        )
    };
    let mut tcp = server.tcp().await;
    tcp.send(&request("GET", "https://app.example")).await;
    let (head, _) = tcp.response().await;
    assert_eq!(status(&head), 200);
    for line in ["access-control-allow-origin: https://app.example", "access-control-allow-credentials: true"]
    {
        assert!(head.contains(line), "{head}");
    }
    tcp.send(&request("OPTIONS", "https://app.example")).await;
    let (head, _) = tcp.response().await;
    assert_eq!(status(&head), 204);
    assert!(head.contains("access-control-allow-headers: content-type"), "{head}");
    tcp.send(&request("GET", "https://evil.example")).await;
    let (head, body) = tcp.response().await;
    assert_eq!((status(&head), body.as_str()), (403, r#"{"code":4,"message":"Forbidden"}"#));
    assert!(!head.contains("access-control-allow-origin"), "{head}");
}

#[tokio::test]
async fn a_cookie_is_set_when_it_has_a_name() {
    let server = start(|config| config.socket_io.cookie = Some("io".to_owned()));
    let mut tcp = server.tcp().await;
    tcp.send("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (head, body) = tcp.response().await;
    // The harness lowers the head.
    let cookie = format!("set-cookie: io={}; path=/; httponly; samesite=lax", sid(&body).to_lowercase());
    assert!(head.contains(&cookie), "{head}");
}

#[tokio::test]
async fn events_and_acknowledgements_travel_by_polling() {
    let server = start(|_| {});
    let polling = Polling::open(&server).await;
    polling.join().await;
    let two = "42/chat,1[\"echo\",\"a\"]\u{1e}42/chat,2[\"echo\",\"b\"]";
    assert_eq!(polling.post(two).await, (200, "ok".to_owned()));
    let mut received = String::new();
    while !received.contains("/chat,2") {
        received += &polling.poll().await.1;
        received.push('\u{1e}');
    }
    assert_eq!(received, "43/chat,1[\"a\"]\u{1e}43/chat,2[\"b\"]\u{1e}");
}

#[tokio::test]
async fn binary_data_is_base64_in_polling_and_bare_in_a_websocket() {
    let server = start(|_| {});
    let text = r#"451-/chat,7["echo",{"_placeholder":true,"num":0}]"#;
    let polling = Polling::open(&server).await;
    polling.join().await;
    polling.post(&format!("{text}\u{1e}bAQIDBA==")).await;
    let answer = "461-/chat,7[{\"_placeholder\":true,\"num\":0}]";
    assert_eq!(polling.poll().await.1, format!("{answer}\u{1e}bAQIDBA=="));
    let mut ws = joined(&server).await;
    ws.send(text).await;
    ws.send_binary(&[1, 2, 3, 4]).await;
    assert_eq!(ws.text().await, answer);
    assert_eq!(ws.message().await.as_payload().to_vec(), [1, 2, 3, 4]);
}

#[tokio::test]
async fn two_polls_at_once_end_the_session() {
    let server = start(|_| {});
    let polling = Polling::open(&server).await;
    let mut first = server.tcp().await;
    first.send(&format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", polling.path())).await;
    // The second one is refused whichever comes first.
    let second = polling.poll();
    let (answer, (refused, _)) = tokio::join!(first.response(), second);
    let mut statuses = [status(&answer.0), refused];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
    assert_eq!(polling.poll().await, (400, UNKNOWN.to_owned()));
}

#[tokio::test]
async fn two_posts_at_once_end_the_session() {
    let server = start(|_| {});
    let polling = Polling::open(&server).await;
    let mut first = server.tcp().await;
    // Its body is not complete: it is being read when the second one comes.
    first.send(&format!("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n40", polling.path())).await;
    while polling.post("40").await.0 == 200 {}
    assert_eq!(polling.poll().await, (400, UNKNOWN.to_owned()));
}

#[tokio::test]
async fn what_is_no_packet_ends_the_session() {
    let server = start(|_| {});
    for payload in ["abc", "", "4\u{1e}", "2"] {
        let polling = Polling::open(&server).await;
        // A ping is a packet, of the wrong side.
        let expected = if payload == "2" { 200 } else { 400 };
        assert_eq!(polling.post(payload).await.0, expected, "{payload:?}");
        let gone = async { while polling.poll().await != (400, UNKNOWN.to_owned()) {} };
        soon(gone).await;
    }
    for text in ["abc", "", "2", "4abc", "42[]", "41", "43[1]", "451-[\"a\"]"] {
        let mut ws = web_socket(&server).await;
        ws.send(text).await;
        if text.starts_with("45") {
            // Text where an attachment should be.
            ws.send("42[\"a\"]").await;
        }
        assert_eq!(ws.close_code().await, 1002, "{text:?}");
    }
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused() {
    let server = start(|config| config.socket_io.max_http_buffer_size = 2048);
    let polling = Polling::open(&server).await;
    assert_eq!(polling.post(&"4".repeat(2049)).await.0, 413);
    let mut ws = web_socket(&server).await;
    ws.send(&"4".repeat(2049)).await;
    assert_eq!(ws.close_code().await, 1009);
}

#[tokio::test]
async fn the_client_closes_a_session_that_polls() {
    let server = start(|_| {});
    let polling = Polling::open(&server).await;
    let (released, posted) = tokio::join!(polling.poll(), polling.post("1"));
    assert_eq!(posted.0, 200);
    // The poll may have come too late.
    assert!(released == (200, "6".to_owned()) || released.0 == 400, "{released:?}");
    soon(async { while polling.poll().await != (400, UNKNOWN.to_owned()) {} }).await;
}

#[tokio::test]
async fn a_session_without_pongs_is_reaped() {
    let server = start(quick_pings);
    let polling = Polling::open(&server).await;
    assert_eq!(polling.poll().await, (200, "2".to_owned()));
    let mut ws = web_socket(&server).await;
    assert_eq!(ws.text().await, "2");
    ws.send("3").await;
    assert_eq!(ws.text().await, "2");
    assert_eq!(ws.close_code().await, 1000);
    // Abandoned sessions go, too.
    drop(Polling::open(&server).await);
    soon(async {
        while !server.services.socket_io.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(polling.poll().await, (400, UNKNOWN.to_owned()));
    let closed = &server.services.metrics.socket_io.sessions_closed;
    assert_eq!(closed.with_label_values(&["ping_timeout"]).get(), 3);
}

#[tokio::test]
async fn a_session_that_joins_nothing_is_closed() {
    let server = start(|config| config.socket_io.connect_timeout = Duration::from_millis(100));
    let mut ws = web_socket(&server).await;
    assert_eq!(ws.close_code().await, 1002);
}

#[tokio::test]
async fn namespaces_are_joined_and_left() {
    let server = start(|_| {});
    let mut ws = web_socket(&server).await;
    ws.send("40/nope,").await;
    assert_eq!(ws.text().await, r#"44/nope,{"message":"Invalid namespace"}"#);
    // The first namespace always exists.
    ws.send("40").await;
    assert!(ws.text().await.starts_with(r#"40{"sid":""#));
    ws.send("40/chat,{\"token\":\"t\"}").await;
    assert!(ws.text().await.starts_with(r#"40/chat,{"sid":""#));
    assert_eq!(server.services.metrics.socket_io.clients_active.get(), 2);
    ws.send("41/chat,").await;
    ws.send("42[\"ignored\"]").await;
    ws.send("42/chat,[\"a\"]").await;
    assert_eq!(ws.close_code().await, 1002);
    soon(async {
        while server.services.metrics.socket_io.clients_active.get() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn sessions_are_not_without_end() {
    let server = start(|config| config.socket_io.max_sessions = 1);
    let polling = Polling::open(&server).await;
    assert_eq!(server.get("/socket.io/?EIO=4&transport=polling").await.0, 503);
    polling.post("1").await;
    soon(async { while server.get("/socket.io/?EIO=4&transport=polling").await.0 != 200 {} }).await;
}

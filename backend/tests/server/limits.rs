//! Limits of a connection, a user and an address.

use std::time::Duration;

use albeit_backend::config::WhenExceeded;

use crate::harness::{Running, Ws, start, status, until};
use crate::socket_io::Polling;
use crate::tokens::{ask, of};

fn exceeded(server: &Running, limit: &str) -> u64 {
    server.services.metrics.auth.limits_exceeded.with_label_values(&[limit]).get()
}

/// The status of a request for a WebSocket.
async fn handshake(server: &Running) -> u16 {
    let mut tcp = server.tcp().await;
    tcp.send(
        "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    )
    .await;
    status(&tcp.response().await.0)
}

/// Sends CONNECT with a token.
async fn connect(server: &Running, token: &str) -> Ws {
    let mut ws = server.web_socket("/ws").await;
    ws.send(&format!("CONNECT\naccept-version:1.2\nheart-beat:0,0\ntoken:{token}\n\n\0")).await;
    ws
}

#[tokio::test]
async fn the_newest_connection_of_an_address_is_refused_until_one_ends() {
    let server = start(|config| config.limits.connections_per_address = 2);
    let first = server.web_socket("/ws").await;
    let _second = server.web_socket("/echo").await;
    assert_eq!(handshake(&server).await, 429);
    assert_eq!(exceeded(&server, "connections_per_address"), 1);
    // Without a closing handshake.
    drop(first);
    until(|| server.services.metrics.websocket_connections_active.get() == 1).await;
    server.stomp().await;
}

#[tokio::test]
async fn a_user_has_so_many_sessions_however_they_end() {
    let server = start(|config| {
        ask(config);
        config.limits.connections_per_user = 1;
    });
    let token = of("ann");
    for ending in ["DISCONNECT\n\n\0", "NONSENSE\n\n\0", ""] {
        let mut first = connect(&server, &token).await;
        assert!(first.text().await.starts_with("CONNECTED\n"), "{ending}");
        let mut second = connect(&server, &token).await;
        let text = second.text().await;
        assert!(text.starts_with("ERROR\nmessage:too many connections\n"), "{text}");
        assert_eq!(second.close_code().await, 1008);
        assert!(connect(&server, &of("bob")).await.text().await.starts_with("CONNECTED\n"));
        if !ending.is_empty() {
            first.send(ending).await;
        }
        drop((first, second));
        until(|| server.services.metrics.websocket_connections_active.get() == 0).await;
    }
    assert_eq!(exceeded(&server, "connections_per_user"), 3);
}

#[tokio::test]
async fn handshakes_of_an_address_have_a_rate() {
    let server = start(|config| {
        config.limits.handshakes_per_second = 1;
        config.limits.handshakes_burst = 3;
    });
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(handshake(&server).await);
    }
    assert_eq!(statuses[..3], [101, 101, 101]);
    assert!(statuses.contains(&429), "{statuses:?}");
    assert!(exceeded(&server, "handshakes") > 0);
}

#[tokio::test]
async fn a_connection_above_its_rate_is_slowed_down_and_loses_nothing() {
    for (limit, change) in [("messages", (200, 10, 0, 1)), ("bytes", (0, 1, 16_384, 512))] {
        let server = start(|config| {
            let limits = &mut config.limits;
            (limits.messages_per_second, limits.messages_burst) = (change.0, change.1);
            (limits.bytes_per_second, limits.bytes_burst) = (change.2, change.3);
        });
        let mut ws = server.stomp().await;
        ws.send("SUBSCRIBE\nid:0\ndestination:/topic/room.a\n\n\0").await;
        for n in 0..100 {
            ws.send(&format!("SEND\ndestination:/app/room.a\n\n<{n}>\0")).await;
        }
        for n in 0..100 {
            let message = ws.text().await;
            assert!(message.contains(&format!("<{n}>")), "{n}: {message}");
        }
        assert!(exceeded(&server, limit) > 0, "{limit}");
    }
}

#[tokio::test]
async fn or_it_is_closed() {
    let server = start(|config| {
        config.limits.messages_per_second = 1;
        config.limits.messages_burst = 5;
        config.limits.when_exceeded = WhenExceeded::Close;
        config.stomp.send_time_limit = Duration::from_secs(60);
    });
    let mut ws = server.stomp().await;
    ws.send(&"SEND\ndestination:/app/room.a\n\nhi\0".repeat(20)).await;
    let text = ws.text().await;
    assert!(text.starts_with("ERROR\nmessage:rate limit exceeded\n"), "{text}");
    assert_eq!(ws.close_code().await, 1008);
    assert_eq!(exceeded(&server, "messages"), 1);
}

#[tokio::test]
async fn packets_of_one_payload_are_slowed_down_one_by_one() {
    let server = start(|config| {
        config.limits.messages_per_second = 5;
        config.limits.messages_burst = 1;
    });
    let polling = Polling::open(&server).await;
    polling.join().await;
    let before = exceeded(&server, "messages");
    let events: Vec<_> = (0..5).map(|n| format!(r#"42/chat,{n}["echo",{n}]"#)).collect();
    assert_eq!(polling.post(&events.join("\u{1e}")).await.0, 200);
    let mut answers = String::new();
    while !answers.contains("43/chat,4[4]") {
        answers.push_str(&polling.poll().await.1);
    }
    // Once for all of them where the payload is taken at once.
    assert!(exceeded(&server, "messages") > before + 1, "{answers}");
}

//! What was said, over HTTP.

use albeit_backend::config::StoreUrl;
use serde_json::Value;

use crate::harness::{Running, start, status, until};
use crate::store::{is_down, say, talker};
use crate::tokens;

async fn json(server: &Running, path: &str) -> Value {
    let (status, body) = server.get(path).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

fn texts(page: &Value) -> Vec<&str> {
    page.as_array().unwrap().iter().map(|message| message["payload"]["text"].as_str().unwrap()).collect()
}

async fn ask(server: &Running, request: &str) -> (String, String) {
    let mut tcp = server.tcp().await;
    tcp.send(&format!("{request} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
    tcp.response().await
}

#[tokio::test]
async fn messages_of_a_room_are_read_in_pages() {
    let server = start(|_| {});
    let mut client = talker(&server).await;
    for text in ["one", "two", "three"] {
        say(&mut client, text).await;
    }
    let last = json(&server, "/rooms/a/messages?limit=2").await;
    assert_eq!(texts(&last), ["two", "three"]);
    let message = &last[0];
    assert_eq!(message["contentType"], "application/json");
    assert_eq!((&message["payload"]["room"], &message["payload"]["instance"]), (&"a".into(), &"b1".into()));
    assert_eq!(message["timestamp"], message["payload"]["timestamp"]);
    let before = message["id"].as_str().unwrap();
    let first = json(&server, &format!("/rooms/a/messages?before={before}")).await;
    assert_eq!(texts(&first), ["one"]);
    assert_eq!(json(&server, "/rooms/unheard/messages").await, Value::Array(Vec::new()));

    client.send("SEND\ndestination:/app/bid.7\nreceipt:b\n\n{\"amount\":10.50,\"bidder\":\"ann\"}\0").await;
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:b\n\n\0");
    let bids = json(&server, "/auctions/7/bids").await;
    assert_eq!((&bids[0]["payload"]["bidder"], &bids[0]["payload"]["amount"]), (&"ann".into(), &10.5.into()));
}

#[tokio::test]
async fn what_cannot_be_answered_has_its_status() {
    let server = start(|_| {});
    for (path, expected) in [
        ("/rooms/a/messages?limit=0", 400),
        ("/rooms/a/messages?limit=many", 400),
        ("/rooms/a/messages?before=7", 400),
        ("/rooms/a.b/messages", 400),
        ("/rooms/a/else", 404),
        ("/rooms/a", 404),
        ("/auctions/a/messages", 404),
    ] {
        assert_eq!(server.get(path).await.0, expected, "{path}");
    }
    let (head, _) = ask(&server, "POST /rooms/a/messages").await;
    assert!(status(&head) == 405 && head.contains("\r\nallow: get, head, options\r\n"), "{head}");
    let (head, _) = ask(&server, "GET /rooms/a/messages").await;
    assert!(head.contains("\r\ncache-control: no-store\r\n"), "{head}");

    let off = start(|config| config.store.enabled = false);
    assert_eq!(off.get("/rooms/a/messages").await.0, 404);
    let failing = start(|config| config.store.url = StoreUrl("sqlite:/proc/none/messages.db".to_owned()));
    until(|| is_down(&failing, albeit_backend::store::Cause::Unreachable)).await;
    let (head, _) = ask(&failing, "GET /rooms/a/messages").await;
    assert!(status(&head) == 503 && head.contains("\r\nretry-after: 5\r\n"), "{head}");
}

#[tokio::test]
async fn pages_of_allowed_origins_may_read_them() {
    let server =
        start(|config| config.websocket.allowed_origins = vec!["https://app.example.com".to_owned()]);
    let from = |origin: &str, method: &str| {
        format!(
            "{method} /rooms/a/messages HTTP/1.1\r\nHost: a\r\nOrigin: {origin}\r\nConnection: close\r\n\r\n"
        )
    };
    for method in ["GET", "OPTIONS"] {
        let mut tcp = server.tcp().await;
        tcp.send(&from("https://app.example.com", method)).await;
        let (head, _) = tcp.response().await;
        assert_eq!(status(&head), if method == "GET" { 200 } else { 204 });
        assert!(head.contains("\r\naccess-control-allow-origin: https://app.example.com\r\n"), "{head}");
        assert!(head.contains("\r\naccess-control-allow-credentials: true\r\n"), "{head}");
        assert!(head.contains("\r\nvary: origin\r\n"), "{head}");
        assert_eq!(
            head.contains("\r\naccess-control-allow-methods: get, head, options\r\n"),
            method == "OPTIONS"
        );
        let mut tcp = server.tcp().await;
        tcp.send(&from("https://evil.example", method)).await;
        let (head, _) = tcp.response().await;
        assert_eq!(status(&head), 403);
        assert!(!head.contains("access-control"), "{head}");
    }
}

#[tokio::test]
async fn only_those_who_may_enter_a_room_read_it() {
    let server = tokens::secured();
    for path in ["/rooms/a/messages", "/auctions/a/bids", "/rooms/a/presence"] {
        let (head, _) = ask(&server, &format!("GET {path}")).await;
        assert!(status(&head) == 401 && head.contains("\r\nwww-authenticate: bearer\r\n"), "{path}: {head}");
        let mut tcp = server.tcp().await;
        let token = tokens::of("ann");
        let bearer = format!("Authorization: Bearer {token}\r\nConnection: close");
        tcp.send(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n{bearer}\r\n\r\n")).await;
        let (head, body) = tcp.response().await;
        assert_eq!(status(&head), 200, "{path}: {body}");
    }
}

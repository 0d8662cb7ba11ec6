//! What a session may do, and how long: expiry, renewal, permissions, secrets,
//! keys that change.

use std::sync::Arc;

use albeit_backend::app::{Application, Incoming, Outgoing, Rejection};
use albeit_backend::config::{AccessConfig, ClientPublish, RuleConfig};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use parking_lot::Mutex;
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::json;

use crate::harness::{Running, Ws, start, start_with, status};
use crate::tokens::{ask, for_seconds, of, secured, time, with_roles};

/// A STOMP client that brought this token in CONNECT.
async fn client(server: &Running, token: &str) -> Ws {
    let mut ws = server.web_socket("/ws").await;
    ws.send(&format!("CONNECT\naccept-version:1.2\nheart-beat:0,0\ntoken:{token}\n\n\0")).await;
    let text = ws.text().await;
    assert!(text.starts_with("CONNECTED\n"), "{text}");
    ws
}

/// The `message` of an ERROR that is followed by a close with 1008.
async fn ended(ws: &mut Ws) -> String {
    let text = ws.text().await;
    assert!(text.starts_with("ERROR\n"), "{text}");
    assert_eq!(ws.close_code().await, 1008);
    text.lines().find_map(|line| line.strip_prefix("message:")).unwrap().to_owned()
}

#[tokio::test]
async fn a_session_ends_with_its_token_though_nothing_is_sent() {
    let server = secured();
    let mut ws = client(&server, &for_seconds("ann", 0.5)).await;
    assert_eq!(ended(&mut ws).await, "token expired");
    assert_eq!(server.services.metrics.auth.expired_sessions.get(), 1);
    // The same where the handshake brought it, and where there is no STOMP.
    let server = start(|config| {
        ask(config);
        config.security.token.query_parameter = Some("t".to_owned());
    });
    let query = format!("t={}", for_seconds("ann", 0.5));
    let mut echo = server.web_socket(&format!("/echo?{query}")).await;
    echo.send("a").await;
    assert_eq!(echo.text().await, "a");
    assert_eq!(echo.close_code().await, 1008);
}

#[tokio::test]
async fn a_frame_may_bring_a_new_token_and_the_session_goes_on() {
    let server = start(|config| {
        ask(config);
        config.security.rules = vec![RuleConfig {
            send: Some("/app/bid.*".to_owned()),
            authority: Some("bidder".to_owned()),
            ..RuleConfig::default()
        }];
    });
    let mut ws = client(&server, &for_seconds("ann", 1.0)).await;
    let renewed = with_roles("ann", &["bidder"]);
    let before = time(0.0);
    ws.send(&format!("SEND\ndestination:/app/bid.7\ntoken:{renewed}\nreceipt:1\n\n{{\"amount\":5}}\0")).await;
    assert!(ws.text().await.starts_with("RECEIPT\nreceipt-id:1\n"));
    // The time of the first token is over; that of the second one is not.
    while time(0.0) < before + 1.5 {
        ws.send("SEND\ndestination:/app/bid.7\nreceipt:2\n\n{\"amount\":6}\0").await;
        assert!(ws.text().await.starts_with("RECEIPT\nreceipt-id:2\n"));
    }
    let other = of("bob");
    ws.send(&format!("SEND\ndestination:/app/room.a\ntoken:{other}\n\nhi\0")).await;
    assert_eq!(ended(&mut ws).await, "authentication failed");
    let failures = &server.services.metrics.auth.failures;
    assert_eq!(failures.with_label_values(&["other_user"]).get(), 1);
}

#[tokio::test]
async fn rules_say_who_may_send_and_subscribe_to_what() {
    let rule = |send: Option<&str>, subscribe: Option<&str>| RuleConfig {
        send: send.map(str::to_owned),
        subscribe: subscribe.map(str::to_owned),
        authority: Some("bidder".to_owned()),
        access: None,
    };
    let server = start(|config| {
        ask(config);
        let nobody = RuleConfig {
            subscribe: Some("/topic/closed/**".to_owned()),
            access: Some(AccessConfig::Nobody),
            ..RuleConfig::default()
        };
        config.security.rules =
            vec![rule(Some("/app/bid.*"), None), rule(None, Some("/topic/auction.*")), nobody];
    });
    let bidder = with_roles("ann", &["bidder"]);
    let mut ws = client(&server, &bidder).await;
    ws.send("SUBSCRIBE\nid:0\ndestination:/topic/auction.7\nreceipt:s\n\n\0").await;
    assert!(ws.text().await.starts_with("RECEIPT\nreceipt-id:s\n"));
    ws.send("SEND\ndestination:/app/bid.7\n\n{\"amount\":5}\0").await;
    assert!(ws.text().await.starts_with("MESSAGE\n"));
    for frame in [
        "SEND\ndestination:/app/bid.7\n\n{\"amount\":5}\0",
        "SUBSCRIBE\nid:1\ndestination:/topic/auction.7\n\n\0",
        "SUBSCRIBE\nid:1\ndestination:/topic/**\n\n\0",
        "SUBSCRIBE\nid:1\ndestination:/topic/closed/a\n\n\0",
    ] {
        let mut ws = client(&server, &of("bob")).await;
        ws.send(frame).await;
        assert_eq!(ended(&mut ws).await, "access denied", "{frame}");
    }
    let denied = &server.services.metrics.auth.denied;
    assert_eq!(["send", "subscribe"].map(|action| denied.with_label_values(&[action]).get()), [1, 3]);
}

#[tokio::test]
async fn what_was_said_is_read_over_http_by_whom_its_destination_may_be_subscribed_to() {
    let server = start(|config| {
        ask(config);
        config.security.rules = vec![RuleConfig {
            subscribe: Some("/topic/auction.*".to_owned()),
            authority: Some("bidder".to_owned()),
            ..RuleConfig::default()
        }];
    });
    let bearer = |token: String| format!("Authorization: Bearer {token}\r\n");
    for (path, headers, expected) in [
        ("/rooms/a/messages", String::new(), 401),
        ("/rooms/a/messages", bearer("x.y.z".to_owned()), 401),
        ("/rooms/a/messages", bearer(of("ann")), 200),
        ("/auctions/7/bids", bearer(of("ann")), 403),
        ("/auctions/7/bids", bearer(with_roles("ann", &["bidder"])), 200),
    ] {
        let mut tcp = server.tcp().await;
        tcp.send(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n{headers}\r\n")).await;
        assert_eq!(status(&tcp.response().await.0), expected, "{path} {headers}");
    }
}

#[tokio::test]
async fn who_is_in_a_room_is_told_to_whom_the_room_may_be_subscribed_by() {
    let server = start(|config| {
        ask(config);
        config.security.rules = vec![RuleConfig {
            subscribe: Some("/topic/room.secret".to_owned()),
            authority: Some("member".to_owned()),
            ..RuleConfig::default()
        }];
    });
    for destination in
        ["/app/presence.room.secret", "/topic/presence.room.secret", "/topic/presence.*", "/topic/p*.secret"]
    {
        let subscribe = format!("SUBSCRIBE\nid:0\ndestination:{destination}\nreceipt:s\n\n\0");
        let mut ws = client(&server, &of("bob")).await;
        ws.send(&subscribe).await;
        assert_eq!(ended(&mut ws).await, "access denied", "{destination}");
        let mut ws = client(&server, &with_roles("ann", &["member"])).await;
        ws.send(&subscribe).await;
        let answer = ws.text().await;
        assert!(!answer.starts_with("ERROR"), "{destination} {answer}");
    }
    let mut ws = client(&server, &of("bob")).await;
    ws.send("SUBSCRIBE\nid:0\ndestination:/topic/presence.room.open\nreceipt:s\n\n\0").await;
    assert!(ws.text().await.starts_with("RECEIPT\n"));
}

/// Keeps what it is given.
#[derive(Default)]
struct Keeping(Mutex<Vec<Incoming>>);

impl Application for Keeping {
    fn handle(&self, message: Incoming) -> BoxFuture<'_, Result<Vec<Outgoing>, Rejection>> {
        self.0.lock().push(message);
        ready(Ok(Vec::new())).boxed()
    }
}

#[tokio::test]
async fn secrets_reach_neither_handlers_nor_subscribers() {
    let application = Arc::new(Keeping::default());
    let server = start_with(Arc::clone(&application) as _, |config| {
        ask(config);
        config.stomp.client_publish_to_topic = ClientPublish::Allow;
    });
    let token = of("ann");
    let mut ws = client(&server, &token).await;
    ws.send("SUBSCRIBE\nid:0\ndestination:/topic/a\nreceipt:s\n\n\0").await;
    ws.text().await;
    let secrets =
        format!("Authorization:Bearer {token}\nTOKEN:{token}\nlogin:l\nPasscode:{token}\nkind:open");
    ws.send(&format!("SEND\ndestination:/app/a\nreceipt:r\n{secrets}\n\nhi\0")).await;
    assert!(ws.text().await.starts_with("RECEIPT\n"));
    let incoming = application.0.lock().pop().unwrap();
    assert_eq!(incoming.principal.unwrap().name, "ann");
    assert!(incoming.headers.contains(&("kind".to_owned(), "open".to_owned())), "{:?}", incoming.headers);
    let leaked = incoming.headers.iter().find(|(name, value)| *value == token || name == "login");
    assert_eq!(leaked, None);
    ws.send(&format!("SEND\ndestination:/topic/a\n{secrets}\n\nhi\0")).await;
    let message = ws.text().await;
    assert!(message.starts_with("MESSAGE\n") && message.contains("\nkind:open\n"), "{message}");
    assert!(!message.contains(&token) && !message.contains("login"), "{message}");
}

#[tokio::test]
async fn keys_are_read_again_at_a_request_and_a_bad_file_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jwks.json");
    let key = || {
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap()
    };
    let write = |key: &EncodingKey| {
        let set = JwkSet { keys: vec![Jwk::from_encoding_key(key, Algorithm::RS256).unwrap()] };
        std::fs::write(&path, serde_json::to_vec(&set).unwrap()).unwrap();
    };
    let claims = json!({ "sub": "ann", "exp": time(3600.0) });
    let token = |key: &EncodingKey| encode(&Header::new(Algorithm::RS256), &claims, key).unwrap();
    let (old, new) = (key(), key());
    write(&old);
    let server = start(|config| config.security.jwt.jwk_set_file = Some(path.clone()));
    let reloads = |result| server.services.metrics.auth.key_reloads.with_label_values(&[result]).get();
    let mut open = client(&server, &token(&old)).await;
    std::fs::write(&path, "{").unwrap();
    assert!(server.reload.request());
    crate::harness::until(|| reloads("failed") == 1).await;
    client(&server, &token(&old)).await;
    write(&new);
    assert!(server.reload.request());
    crate::harness::until(|| reloads("ok") == 1).await;
    client(&server, &token(&new)).await;
    let mut refused = server.web_socket("/ws").await;
    refused.send(&format!("CONNECT\naccept-version:1.2\ntoken:{}\n\n\0", token(&old))).await;
    assert_eq!(ended(&mut refused).await, "authentication failed");
    // A session that is open goes on.
    open.send("SUBSCRIBE\nid:0\ndestination:/topic/a\nreceipt:s\n\n\0").await;
    assert!(open.text().await.starts_with("RECEIPT\n"));
}

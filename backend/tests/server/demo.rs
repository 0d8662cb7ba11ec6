//! The demo between clients.

use serde_json::Value;

use crate::harness::{Running, Ws, start};
use crate::tokens;

fn body(message: &str) -> Value {
    let (_, body) = message.split_once("\n\n").unwrap();
    serde_json::from_str(body.trim_end_matches('\0')).unwrap()
}

async fn subscribed(client: &mut Ws, destination: &str) {
    client.send(&format!("SUBSCRIBE\nid:{destination}\ndestination:{destination}\nreceipt:r\n\n\0")).await;
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:r\n\n\0");
}

async fn user(server: &Running, name: &str) -> Ws {
    let mut client = server.web_socket("/ws").await;
    let token = tokens::of(name);
    client.send(&format!("CONNECT\naccept-version:1.2\nhost:a\nAuthorization:Bearer {token}\n\n\0")).await;
    assert!(client.text().await.starts_with("CONNECTED\n"));
    subscribed(&mut client, "/user/queue/private").await;
    client
}

#[tokio::test]
async fn a_private_message_reaches_every_session_of_its_user_and_nobody_else() {
    let server = tokens::secured();
    let mut ann = user(&server, "ann").await;
    let (mut bob, mut bobs_phone) = (user(&server, "bob").await, user(&server, "bob").await);
    ann.send("SEND\ndestination:/app/private.bob\nreceipt:1\n\n{\"text\":\"psst\",\"from\":\"eve\"}\0").await;
    assert_eq!(ann.text().await, "RECEIPT\nreceipt-id:1\n\n\0");
    for client in [&mut bob, &mut bobs_phone] {
        let message = client.text().await;
        assert!(message.contains("\ndestination:/user/queue/private\n"), "{message}");
        let body = body(&message);
        assert_eq!((&body["from"], &body["text"]), (&"ann".into(), &"psst".into()));
    }
}

#[tokio::test]
async fn a_bid_of_nothing_costs_no_session() {
    let server = start(|_| {});
    let (mut ann, mut bob) = (server.stomp().await, server.stomp().await);
    subscribed(&mut ann, "/user/queue/errors").await;
    for client in [&mut ann, &mut bob] {
        subscribed(client, "/topic/auction.7").await;
    }
    ann.send("SEND\ndestination:/app/bid.7\n\n{\"amount\":0}\0").await;
    let error = body(&ann.text().await);
    assert_eq!(
        (&error["destination"], &error["error"]),
        (&"/app/bid.7".into(), &"amount must be above zero".into())
    );
    ann.send("SEND\ndestination:/app/bid.7\n\n{\"amount\":1.5}\0").await;
    for client in [&mut ann, &mut bob] {
        assert_eq!(body(&client.text().await)["amount"], 1.5);
    }
}

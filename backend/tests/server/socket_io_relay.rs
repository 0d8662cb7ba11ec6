//! Socket.IO on several instances that relay over a real Redis.

use albeit_backend::app::gateway::{Audience, Event};
use serde_json::json;

use crate::harness::{Running, Ws};
use crate::redis_server::Redis;
use crate::socket_io::web_socket;

/// A client in a room, and its id.
async fn in_room(server: &Running) -> (Ws, String) {
    let mut ws = web_socket(server).await;
    ws.send("40/chat,").await;
    let welcome = ws.text().await;
    let id = welcome.split('"').nth(3).unwrap().to_owned();
    ws.send(r#"42/chat,0["joinRoom","r"]"#).await;
    assert!(ws.text().await.starts_with("43/chat,0["));
    (ws, id)
}

#[tokio::test]
async fn events_reach_rooms_and_clients_of_other_instances_once() {
    let redis = Redis::start(&[]).await;
    let (first, second) = (redis.instance("b1", |_| {}).await, redis.instance("b2", |_| {}).await);
    let (mut ann, _) = in_room(&first).await;
    let (mut bob, bob_id) = in_room(&second).await;
    assert!(ann.text().await.starts_with(r#"42/chat,["userJoined",{"#));
    ann.send(r#"42/chat,1["message",{"room":"r","text":"hi"}]"#).await;
    let message = bob.text().await;
    assert!(
        message.starts_with(r#"42/chat,["message",{"#) && message.contains(r#""instance":"b1""#),
        "{message}"
    );
    assert_eq!(ann.text().await, message);
    assert!(ann.text().await.starts_with("43/chat,1["));
    // Binary data.
    ann.send(r#"451-/chat,2["file",{"room":"r","data":{"_placeholder":true,"num":0}}]"#).await;
    ann.send_binary(&[1, 2, 3]).await;
    assert!(ann.text().await.starts_with("43/chat,2["));
    assert!(bob.text().await.starts_with(r#"451-/chat,["file",{"#));
    assert_eq!(bob.message().await.as_payload().to_vec(), [1, 2, 3]);
    // One client, and then everyone: nothing came in between.
    let services = &first.services;
    services.emit("/chat", &Audience::Client(bob_id), None, &Event::new("a", json!(1))).await;
    services.emit("/chat", &Audience::Namespace, None, &Event::new("b", json!(2))).await;
    assert_eq!(ann.text().await, r#"42/chat,["b",2]"#);
    // Two channels have no order between them, but these are on one.
    assert_eq!(bob.text().await, r#"42/chat,["a",1]"#);
    assert_eq!(bob.text().await, r#"42/chat,["b",2]"#);
}

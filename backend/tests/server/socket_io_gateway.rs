//! Rooms, acknowledgements, heartbeats and slow clients.

use std::sync::Arc;
use std::time::Duration;

use albeit_backend::app::gateway::{Action, Event, Gateway, Handled, Peer, Refusal};
use albeit_backend::app::{Application, Incoming, Outgoing, Rejection};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use serde_json::{Map, Value, json};

use crate::harness::{Running, Ws, soon, start, start_with};
use crate::socket_io::{Polling, joined, web_socket};

async fn in_room(server: &Running) -> Ws {
    let mut ws = joined(server).await;
    ws.send(r#"42/chat,0["joinRoom",{"room":"r"}]"#).await;
    assert_eq!(ws.text().await, r#"43/chat,0[{"room":"r","status":"ok"}]"#);
    ws
}

fn count(server: &Running, name: &str) -> f64 {
    let text = String::from_utf8(server.services.metrics.render().unwrap()).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    line.unwrap_or_else(|| panic!("{name} is not in {text}"))
}

#[tokio::test]
async fn a_message_reaches_its_room_on_every_transport() {
    let server = start(|_| {});
    let mut first = in_room(&server).await;
    let mut second = in_room(&server).await;
    assert!(first.text().await.starts_with(r#"42/chat,["userJoined",{"#));
    let polling = Polling::open(&server).await;
    polling.join().await;
    polling.post(r#"42/chat,["joinRoom","r"]"#).await;
    for ws in [&mut first, &mut second] {
        assert!(ws.text().await.starts_with(r#"42/chat,["userJoined",{"#));
    }
    let mut outside = joined(&server).await;
    first.send(r#"42/chat,5["message",{"room":"r","text":"hi","from":"ann"}]"#).await;
    let message = first.text().await;
    assert!(message.starts_with(r#"42/chat,["message",{"from":"ann","#), "{message}");
    assert!(first.text().await.starts_with(r#"43/chat,5[{"status":"ok","#));
    assert_eq!(second.text().await, message);
    assert_eq!(polling.poll().await.1, message);
    assert_eq!(
        (count(&server, "socketio_clients_active"), count(&server, "socketio_rooms_active")),
        (4.0, 1.0)
    );
    // Who leaves hears nothing more, and the others do.
    second.send("41/chat,").await;
    assert!(first.text().await.starts_with(r#"42/chat,["userLeft",{"#));
    outside.send(r#"42/chat,0["echo"]"#).await;
    assert_eq!(outside.text().await, "43/chat,0[]");
}

#[tokio::test]
async fn what_the_gateway_refuses_becomes_an_exception() {
    let server = start(|_| {});
    let mut ws = joined(&server).await;
    ws.send(r#"42/chat,0["joinRoom",{}]"#).await;
    let expected = r#"42/chat,["exception",{"cause":{"data":{},"pattern":"joinRoom"},"message":"a room is needed","status":"error"}]"#;
    assert_eq!(ws.text().await, expected);
}

#[tokio::test]
async fn heartbeats_are_answered_by_an_event_or_an_acknowledgement() {
    let server = start(|config| {
        config.socket_io.heartbeat_interval = Duration::from_millis(50);
        config.socket_io.heartbeat_misses = 0;
    });
    let mut ws = joined(&server).await;
    let answered = &server.services.metrics.socket_io.heartbeats_answered;
    for acknowledge in [false, true] {
        let before = answered.get();
        // An answer may cross the next heartbeat.
        soon(async {
            while answered.get() == before {
                let beat = ws.text().await;
                let (id, rest) = beat.trim_start_matches("42/chat,").split_once('[').unwrap();
                assert!(rest.starts_with(r#""heartbeat",{"timestamp":"#), "{beat}");
                let ack = format!("43/chat,{id}[]");
                ws.send(if acknowledge { &ack } else { r#"42/chat,["heartbeat",{}]"# }).await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_client_that_answers_no_heartbeat_is_removed() {
    let server = start(|config| config.socket_io.heartbeat_interval = Duration::from_millis(50));
    let mut silent = joined(&server).await;
    for _ in 0..2 {
        assert!(silent.text().await.contains("heartbeat"));
    }
    assert_eq!(silent.close_code().await, 1000);
    assert_eq!(server.services.metrics.socket_io.stale_clients.get(), 1);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_and_counted() {
    let server = start(|config| {
        config.socket_io.max_http_buffer_size = 64 * 1024;
        config.socket_io.send_buffer_size_limit = 128 * 1024;
    });
    let mut sleeping = in_room(&server).await;
    let mut sender = joined(&server).await;
    let text = "x".repeat(32 * 1024);
    let slow = &server.services.metrics.slow_consumers;
    soon(async {
        while slow.with_label_values(&["buffer"]).get() == 0 {
            sender.send(&format!(r#"42/chat,1["message",{{"room":"r","text":"{text}"}}]"#)).await;
            assert!(sender.text().await.starts_with("43/chat,1"));
        }
    })
    .await;
    soon(async { while !sleeping.message().await.is_close() {} }).await;
}

/// Asks each client something, and lets nobody in who has no password.
struct Asking;

impl Gateway for Asking {
    fn connect(&self, _: Peer, auth: Map<String, Value>) -> BoxFuture<'_, Result<Vec<Action>, Refusal>> {
        let known = auth.get("password") == Some(&json!("open sesame"));
        let question =
            Action::EmitWithAck { event: Event::new("who", json!("are you")), tag: "name".to_owned() };
        ready(known.then(|| vec![question]).ok_or_else(|| Refusal("not allowed".to_owned()))).boxed()
    }

    fn event(&self, _: Peer, event: Event) -> BoxFuture<'_, Result<Handled, Refusal>> {
        let handled = match event.name.as_str() {
            "leave" => Handled { actions: vec![Action::Disconnect], ack: None },
            _ => Handled::ack(json!(event.name)),
        };
        ready(Ok(handled)).boxed()
    }

    fn acknowledged(&self, peer: Peer, tag: String, answer: Event) -> BoxFuture<'_, Vec<Action>> {
        let greeting = format!("{tag} {} in {}", answer.data(), peer.namespace);
        ready(vec![Action::Emit(Event::new("welcome", json!(greeting)))]).boxed()
    }
}

impl Application for Asking {
    fn handle(&self, _: Incoming) -> BoxFuture<'_, Result<Vec<Outgoing>, Rejection>> {
        ready(Ok(Vec::new())).boxed()
    }

    fn gateway(&self, namespace: &str) -> Option<&dyn Gateway> {
        (namespace == "/ask").then_some(self)
    }
}

#[tokio::test]
async fn an_embedder_refuses_asks_and_puts_out() {
    let server = start_with(Arc::new(Asking), |_| {});
    let mut ws = web_socket(&server).await;
    ws.send(r#"40/ask,{"password":"?"}"#).await;
    assert_eq!(ws.text().await, r#"44/ask,{"message":"not allowed"}"#);
    ws.send(r#"40/ask,{"password":"open sesame"}"#).await;
    assert!(ws.text().await.starts_with(r#"40/ask,{"sid":""#));
    assert_eq!(ws.text().await, r#"42/ask,0["who","are you"]"#);
    ws.send(r#"43/ask,0["ann"]"#).await;
    assert_eq!(ws.text().await, r#"42/ask,["welcome","name \"ann\" in /ask"]"#);
    // Nobody asked that.
    ws.send(r#"43/ask,9["ann"]"#).await;
    ws.send(r#"42/ask,["leave"]"#).await;
    assert_eq!(ws.text().await, "41/ask,");
    ws.send(r#"40/ask,{"password":"open sesame"}"#).await;
    assert!(ws.text().await.starts_with(r#"40/ask,{"sid":""#));
}

#[tokio::test]
async fn the_first_event_after_the_welcome_is_handled() {
    let server = start(|_| {});
    for _ in 0..50 {
        let mut ws = web_socket(&server).await;
        ws.send("40/chat,").await;
        assert!(ws.text().await.starts_with("40/chat,"));
        ws.send(r#"42/chat,0["echo",1]"#).await;
        assert_eq!(ws.text().await, "43/chat,0[1]");
    }
}

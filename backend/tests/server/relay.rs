//! Instances that relay to each other over a real Redis.

use std::time::Duration;

use albeit_backend::config::{RelayEnvelope, RelaySubscribe, Secret};
use albeit_backend::endpoint::Content;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::harness::{Running, Ws, soon, until};
use crate::redis_server::{Redis, connected};

/// Subscribes, and waits until messages come.
pub(crate) async fn subscribe(client: &mut Ws, id: &str, destination: &str) {
    client.send(&format!("SUBSCRIBE\nid:{id}\ndestination:{destination}\nreceipt:{id}\n\n\0")).await;
    assert_eq!(client.text().await, format!("RECEIPT\nreceipt-id:{id}\n\n\0"));
}

/// A client that gets what is published to a destination.
pub(crate) async fn subscriber(server: &Running, destination: &str) -> Ws {
    let mut client = server.stomp().await;
    subscribe(&mut client, "0", destination).await;
    client
}

pub(crate) fn content(destination: &str, content_type: &str, body: &str) -> Content {
    let headers = vec![("content-type".to_owned(), content_type.to_owned())];
    Content::new(destination.to_owned(), headers, Bytes::copy_from_slice(body.as_bytes()))
}

pub(crate) async fn publish(server: &Running, destination: &str, body: &str) {
    server.services.publish(&content(destination, "text/plain", body)).await;
}

/// The body of the next message.
pub(crate) async fn body(client: &mut Ws) -> String {
    let text = client.text().await;
    assert!(text.starts_with("MESSAGE\n"), "{text}");
    text.split_once("\n\n").unwrap().1.trim_end_matches('\0').to_owned()
}

#[tokio::test]
async fn what_one_instance_publishes_all_deliver_once() {
    let redis = Redis::start(&[]).await;
    let mut servers = Vec::new();
    for name in ["b1", "b2", "b3"] {
        servers.push(redis.instance(name, |_| {}).await);
    }
    let mut clients = Vec::new();
    for server in &servers {
        clients.push(subscriber(server, "/topic/room.a").await);
    }
    for (n, server) in servers.iter().enumerate() {
        publish(server, "/topic/room.a", &format!("from {n}")).await;
        for client in &mut clients {
            assert_eq!(body(client).await, format!("from {n}"));
        }
    }
    for server in &servers {
        let relay = &server.services.metrics.relay;
        until(|| relay.published.get() == 1 && relay.received.get() == 2).await;
        assert_eq!((relay.missed.get(), relay.duplicates.get(), relay.unheard.get()), (0, 0, 0));
        assert_eq!(server.services.metrics.websocket_messages_sent.get(), 3);
    }
    until(|| servers[0].services.relay.status().unwrap().instances == Some(3)).await;
    let status = servers[0].services.relay.status().unwrap();
    let version: String = redis.run(&["INFO", "server"]).await;
    assert!(version.contains(&format!("redis_version:{}\r\n", status.server_version.unwrap())));
}

#[tokio::test]
async fn only_channels_that_clients_need_are_subscribed_to() {
    let redis = Redis::start(&[]).await;
    let linger = |config: &mut albeit_backend::config::Config| {
        config.relay.linger = Duration::from_millis(50);
    };
    let server = redis.instance("b1", linger).await;
    assert_eq!(redis.channels().await, ["ws-instances"]);
    let mut ann = subscriber(&server, "/topic/room.a").await;
    let mut bob = subscriber(&server, "/topic/room.a").await;
    subscribe(&mut bob, "1", "/topic/room.b").await;
    assert_eq!(redis.channels().await, ["ws-instances", "ws:/topic/room.a", "ws:/topic/room.b"]);
    ann.send("UNSUBSCRIBE\nid:0\nreceipt:u\n\n\0").await;
    assert_eq!(ann.text().await, "RECEIPT\nreceipt-id:u\n\n\0");
    bob.send("UNSUBSCRIBE\nid:1\n\n\0").await;
    let relay = &server.services.metrics.relay;
    until(|| relay.subscriptions.get() == 1).await;
    assert_eq!(redis.channels().await, ["ws-instances", "ws:/topic/room.a"]);
    drop(bob);
    until(|| relay.subscriptions.get() == 0).await;
    assert_eq!(redis.channels().await, ["ws-instances"]);
}

#[tokio::test]
async fn a_message_to_a_user_reaches_the_instance_of_its_session() {
    let redis = Redis::start(&[]).await;
    let (one, two) = (redis.instance("b1", |_| {}).await, redis.instance("b2", |_| {}).await);
    // A session without a user is a user under its id.
    let mut client = one.web_socket("/ws").await;
    client.send("CONNECT\naccept-version:1.2\nheart-beat:0,0\n\n\0").await;
    let text = client.text().await;
    let name = text.lines().find_map(|line| line.strip_prefix("session:")).unwrap();
    subscribe(&mut client, "0", "/user/queue/private").await;
    let mut other = subscriber(&two, "/user/queue/private").await;
    assert!(redis.channels().await.contains(&format!("ws:user.{name}/queue/private")));
    let private = content("/queue/private", "text/plain", "psst");
    two.services.publish_to_user(name, &private).await;
    let text = client.text().await;
    assert!(text.contains("\ndestination:/user/queue/private\n"), "{text}");
    assert!(text.ends_with("\n\npsst\0"), "{text}");
    // Nobody else got it.
    subscribe(&mut other, "1", "/topic/a").await;
    assert_eq!(two.services.metrics.websocket_messages_sent.get(), 0);
}

#[tokio::test]
async fn patterns_and_names_deliver_once_each() {
    let redis = Redis::start(&[]).await;
    let (one, two) = (redis.instance("b1", |_| {}).await, redis.instance("b2", |_| {}).await);
    let mut client = subscriber(&one, "/topic/room.a").await;
    subscribe(&mut client, "1", "/topic/room.*").await;
    subscribe(&mut client, "2", "/topic/**").await;
    let mut exact = subscriber(&one, "/topic/room.b").await;
    for n in 0..5 {
        publish(&two, "/topic/room.a", &n.to_string()).await;
        for _ in 0..3 {
            assert_eq!(body(&mut client).await, n.to_string());
        }
    }
    publish(&two, "/topic/room.b", "b").await;
    assert_eq!(body(&mut exact).await, "b");
    for _ in 0..2 {
        assert_eq!(body(&mut client).await, "b");
    }
    publish(&two, "/topic/elsewhere", "e").await;
    assert_eq!(body(&mut client).await, "e");
    let relay = &one.services.metrics.relay;
    assert_eq!((relay.received.get(), relay.missed.get()), (7, 0));
    assert_eq!(one.services.metrics.websocket_messages_sent.get(), 5 * 3 + 3 + 1);
}

#[tokio::test]
async fn one_pattern_can_stand_for_all_channels() {
    let redis = Redis::start(&[]).await;
    let pattern = |config: &mut albeit_backend::config::Config| {
        config.relay.subscribe = RelaySubscribe::Pattern;
    };
    let (one, two) = (redis.instance("b1", pattern).await, redis.instance("b2", pattern).await);
    let mut client = subscriber(&one, "/topic/room.a").await;
    subscribe(&mut client, "1", "/topic/room.*").await;
    assert_eq!(redis.channels().await, ["ws-instances"]);
    assert_eq!(redis.run::<u64>(&["PUBSUB", "NUMPAT"]).await, 1);
    publish(&two, "/topic/room.a", "x").await;
    for _ in 0..2 {
        assert_eq!(body(&mut client).await, "x");
    }
    publish(&one, "/topic/room.b", "y").await;
    assert_eq!(body(&mut client).await, "y");
    assert_eq!(one.services.metrics.websocket_messages_sent.get(), 3);
    assert_eq!(one.services.metrics.relay.received.get(), 1);
}

#[tokio::test]
async fn bodies_arrive_as_they_were() {
    let redis = Redis::start(&[]).await;
    let (one, two) = (redis.instance("b1", |_| {}).await, redis.instance("b2", |_| {}).await);
    let mut client = subscriber(&one, "/topic/a").await;
    for (content_type, text) in [
        ("application/json", r#"{ "a" : [1.50, "ü"] }"#),
        ("application/json", "\"x\""),
        ("application/json", "no json"),
        ("text/plain", "{\"a\":1}"),
        ("text/plain;charset=UTF-8", "\u{1f600}\n\"\\"),
    ] {
        two.services.publish(&content("/topic/a", content_type, text)).await;
        let message = client.text().await;
        assert!(message.contains(&format!("\ncontent-type:{content_type}\n")), "{message}");
        assert!(message.ends_with(&format!("\n\n{text}\0")), "{message}");
    }
    let binary = Content::new("/topic/a".to_owned(), Vec::new(), Bytes::from_static(&[0xff, 0, 1]));
    two.services.publish(&binary).await;
    let message = client.message().await;
    assert!(message.is_binary());
    assert!(!message.as_payload().windows(12).any(|part| part == b"content-type"));
    assert!(message.as_payload().ends_with(b"\n\n\xff\x00\x01\x00"));
}

#[tokio::test]
async fn a_spring_service_hears_and_is_heard() {
    let redis = Redis::start(&[]).await;
    for (envelope, own_fields) in [(RelayEnvelope::Plain, 0), (RelayEnvelope::Extended, 2)] {
        let server = redis.instance("b1", |config| config.relay.envelope = envelope).await;
        let mut client = subscriber(&server, "/topic/room.general").await;
        // As Jackson writes it, to the channel that Spring publishes to.
        let message = r#"{"destination":"/topic/room.general","userId":null,"payload":"{\"id\":1,\"text\":\"hi\"}","payloadType":"com.example.chat.ChatMessage","timestamp":1700000000123,"originServerId":"server-1"}"#;
        let heard: u64 = redis.run(&["PUBLISH", "ws:/topic/room.general", message]).await;
        assert_eq!(heard, 1);
        let text = client.text().await;
        assert!(text.contains("\ncontent-type:application/json\n"), "{text}");
        assert!(text.ends_with("\n\n{\"id\":1,\"text\":\"hi\"}\0"), "{text}");
        assert_eq!(redis.run::<u64>(&["PUBLISH", "ws:/topic/room.general", "no json"]).await, 1);
        until(|| server.services.metrics.relay.dropped.with_label_values(&["malformed"]).get() == 1).await;

        let mut spring = redis.listen("ws:*").await;
        let bid = content("/topic/room.general", "application/json", r#"{"n":1}"#);
        server.services.publish(&bid).await;
        let (channel, text) = soon(spring.recv()).await.unwrap();
        assert_eq!(channel, "ws:/topic/room.general");
        let read: Value = serde_json::from_str(&text).unwrap();
        let fields = read.as_object().unwrap();
        assert_eq!(fields.len(), 6 + own_fields, "{text}");
        assert_eq!(read["destination"], "/topic/room.general");
        assert_eq!(fields["userId"], Value::Null);
        assert_eq!(read["payload"], r#"{"n":1}"#);
        assert_eq!(read["payloadType"], "java.util.LinkedHashMap");
        assert!(read["timestamp"].as_u64().unwrap() > 1_600_000_000_000);
        assert!(read["originServerId"].as_str().unwrap().starts_with("b1-"));
        if envelope == RelayEnvelope::Extended {
            assert_eq!((&read["seq"], &read["contentType"]), (&json!(1), &json!("application/json")));
        }
        assert_eq!(body(&mut client).await, r#"{"n":1}"#);
        server.services.publish_to_user("42", &content("/queue/private", "application/json", "[]")).await;
        let (channel, text) = soon(spring.recv()).await.unwrap();
        assert_eq!(channel, "ws:user.42/queue/private");
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&read["destination"], &read["userId"]), (&json!("/queue/private"), &json!("42")));
    }
}

#[tokio::test]
async fn a_password_that_changes_is_reported_until_it_fits() {
    let redis = Redis::start(&["--requirepass", "p1"]).await;
    let password = |config: &mut albeit_backend::config::Config| {
        config.relay.redis.password = Some(Secret::new("p1".to_owned()));
    };
    let server = redis.instance("b1", password).await;
    let run = async |commands: &[&[&str]]| redis.run_as("p1", commands).await;
    run(&[&["CONFIG", "SET", "requirepass", "p2"], &["CLIENT", "KILL", "TYPE", "pubsub"]]).await;
    connected(&server, false).await;
    let error = || server.services.relay.status().unwrap().last_error.unwrap_or_default();
    until(|| error().contains("WRONGPASS")).await;
    assert!(!error().contains("p1"), "{}", error());
    redis.run_as("p2", &[&["CONFIG", "SET", "requirepass", "p1"]]).await;
    connected(&server, true).await;
}

#[tokio::test]
async fn a_channel_that_redis_refuses_leaves_the_others_alone() {
    let redis = Redis::start(&[]).await;
    let rules =
        ["ACL", "SETUSER", "app", "on", ">p1", "+@all", "-info", "resetchannels", "&ws:/topic/room.*"];
    redis.run::<String>(&rules).await;
    let app = |config: &mut albeit_backend::config::Config| {
        config.relay.redis.username = Some("app".to_owned());
        config.relay.redis.password = Some(Secret::new("p1".to_owned()));
    };
    let (one, two) = (redis.instance("b1", app).await, redis.instance("b2", app).await);
    let mut client = subscriber(&one, "/topic/room.a").await;
    subscribe(&mut client, "1", "/topic/secret").await;
    assert_eq!(redis.channels().await, ["ws:/topic/room.a"]);
    publish(&two, "/topic/secret", "x").await;
    publish(&two, "/topic/room.a", "y").await;
    assert_eq!(body(&mut client).await, "y");
    publish(&one, "/topic/secret", "z").await;
    assert_eq!(body(&mut client).await, "z");
    let relay = &two.services.metrics.relay;
    until(|| relay.dropped.with_label_values(&["refused"]).get() == 1).await;
    let status = one.services.relay.status().unwrap();
    assert_eq!((status.instances, status.server_version), (None, None));
}

#[tokio::test]
async fn what_waits_is_published_before_the_end() {
    let redis = Redis::start(&[]).await;
    let (one, mut two) = (redis.instance("b1", |_| {}).await, redis.instance("b2", |_| {}).await);
    let mut client = subscriber(&one, "/topic/a").await;
    for n in 0..1000 {
        publish(&two, "/topic/a", &n.to_string()).await;
    }
    two.shutdown.cancel();
    for n in 0..1000 {
        assert_eq!(body(&mut client).await, n.to_string());
    }
    two.stopped().await;
    assert_eq!(two.services.relay.status().unwrap().dropped, 0);
    until(|| one.services.relay.status().unwrap().instances == Some(1)).await;
}

#[tokio::test]
async fn clients_of_other_instances_do_not_hear_that_one_leaves() {
    let redis = Redis::start(&[]).await;
    let (one, mut two) = (redis.instance("b1", |_| {}).await, redis.instance("b2", |_| {}).await);
    let mut leaving = subscriber(&two, "/topic/server.events").await;
    let mut staying = subscriber(&one, "/topic/server.events").await;
    two.shutdown.cancel();
    assert!(body(&mut leaving).await.contains("Server maintenance"));
    drop(leaving);
    two.stopped().await;
    publish(&one, "/topic/server.events", "still here").await;
    assert_eq!(body(&mut staying).await, "still here");
}

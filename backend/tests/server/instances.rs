//! Destinations and presence across instances, over a real Redis.

use std::time::Duration;

use albeit_backend::config::Config;

use crate::harness::{Running, Ws, until};
use crate::redis_server::Redis;
use crate::relay::{body, content, publish, subscribe};

fn quick(config: &mut Config) {
    config.presence.enabled = true;
    config.presence.announce_interval = Duration::from_millis(500);
    config.presence.change_delay = Duration::from_millis(10);
}

/// Two instances that relay to each other.
async fn instances(redis: &Redis) -> (Running, Running) {
    (redis.instance("b1", quick).await, redis.instance("b2", quick).await)
}

/// A client that has connected, and its session.
async fn connect(server: &Running) -> (Ws, String) {
    let mut client = server.web_socket("/ws").await;
    client.send("CONNECT\naccept-version:1.2\nheart-beat:0,0\n\n\0").await;
    let connected = client.text().await;
    let session = connected.lines().find_map(|line| line.strip_prefix("session:")).unwrap();
    (client, session.to_owned())
}

#[tokio::test]
async fn a_message_to_a_user_finds_the_instance_of_the_session() {
    let redis = Redis::start(&[]).await;
    let (b1, b2) = instances(&redis).await;
    let (mut client, session) = connect(&b2).await;
    subscribe(&mut client, "0", "/user/queue/x").await;
    let message = content("/queue/x", "text/plain", "hello");
    b1.services.publish_to_user(&session, &message).await;
    let text = client.text().await;
    assert!(text.contains("\ndestination:/user/queue/x\n") && text.ends_with("\n\nhello\0"), "{text}");
}

#[tokio::test]
async fn patterns_hear_other_instances_and_exact_names_beside_them_once() {
    let redis = Redis::start(&[]).await;
    let (b1, b2) = instances(&redis).await;
    let (mut pattern, _) = connect(&b2).await;
    subscribe(&mut pattern, "0", "/topic/x/**/end").await;
    let (mut exact, _) = connect(&b2).await;
    subscribe(&mut exact, "0", "/topic/x/end").await;
    for n in 0..20 {
        publish(&b1, "/topic/x/end", &n.to_string()).await;
        publish(&b1, "/topic/x/other", "not for the pattern").await;
        publish(&b1, "/topic/x/a/b/end", "deep").await;
    }
    for n in 0..20 {
        assert_eq!(body(&mut exact).await, n.to_string());
        assert_eq!(body(&mut pattern).await, n.to_string());
        assert_eq!(body(&mut pattern).await, "deep");
    }
}

#[tokio::test]
async fn presence_spans_instances_and_ends_with_them() {
    let redis = Redis::start(&[]).await;
    let (b1, mut b2) = instances(&redis).await;
    let (mut on_b1, _) = connect(&b1).await;
    let (mut on_b2, _) = connect(&b2).await;
    for client in [&mut on_b1, &mut on_b2] {
        subscribe(client, "0", "/topic/room.a").await;
    }
    let members = |server: &Running| server.services.presence.members("/topic/room.a").unwrap();
    for server in [&b1, &b2] {
        until(|| members(server).sessions == 2).await;
        let names: Vec<_> = members(server).instances.into_iter().map(|on| on.instance).collect();
        assert_eq!(names, ["b1", "b2"]);
    }
    b2.shutdown.cancel();
    drop(on_b2);
    b2.stopped().await;
    until(|| members(&b1).sessions == 1 && b1.services.metrics.presence.instances.get() == 0).await;
}

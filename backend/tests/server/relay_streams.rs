//! Streams: an instance that was cut off reads on where it stopped.

use std::time::Duration;

use albeit_backend::config::{Config, RelayMode};

use crate::harness::{Ws, until};
use crate::redis_server::{Redis, connected};
use crate::relay::{body, publish, subscriber};

/// A Redis that forgets nothing when it is killed.
const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

fn streams(config: &mut Config) {
    config.relay.mode = RelayMode::Streams;
    config.relay.streams.shards = 4;
}

async fn numbers(client: &mut Ws, numbers: std::ops::Range<u64>) {
    for n in numbers {
        assert_eq!(body(client).await, n.to_string());
    }
}

#[tokio::test]
async fn messages_of_all_shards_arrive_once_and_old_ones_never() {
    let redis = Redis::start(&[]).await;
    let one = redis.instance("b1", streams).await;
    publish(&one, "/topic/room.0", "before").await;
    until(|| one.services.metrics.relay.published.get() == 1).await;
    let two = redis.instance("b2", streams).await;
    let mut clients = Vec::new();
    for room in 0..8 {
        clients.push(subscriber(&two, &format!("/topic/room.{room}")).await);
    }
    for room in 0..8 {
        publish(&one, &format!("/topic/room.{room}"), &room.to_string()).await;
    }
    for (room, client) in clients.iter_mut().enumerate() {
        assert_eq!(body(client).await, room.to_string());
    }
    assert_eq!(two.services.metrics.relay.received.get(), 8);
    assert!(redis.run::<u64>(&["DBSIZE"]).await > 1);
    assert!(redis.channels().await.is_empty());
}

#[tokio::test]
async fn a_killed_and_restarted_redis_loses_nothing() {
    let mut redis = Redis::start(&DURABLE).await;
    let (one, two) = (redis.instance("b1", streams).await, redis.instance("b2", streams).await);
    let mut client = subscriber(&two, "/topic/a").await;
    for n in 0..50 {
        publish(&one, "/topic/a", &n.to_string()).await;
    }
    redis.kill().await;
    for n in 50..100 {
        publish(&one, "/topic/a", &n.to_string()).await;
    }
    for server in [&one, &two] {
        connected(server, false).await;
    }
    for n in 100..150 {
        publish(&one, "/topic/a", &n.to_string()).await;
    }
    redis.revive().await;
    numbers(&mut client, 0..150).await;
    let relay = &two.services.metrics.relay;
    assert_eq!((relay.missed.get(), relay.received.get()), (0, 150));
}

#[tokio::test]
async fn an_instance_that_was_cut_off_reads_what_it_missed() {
    let redis = Redis::start(&[]).await;
    let (one, two) = (redis.instance("b1", streams).await, redis.instance("b2", streams).await);
    let mut client = subscriber(&two, "/topic/a").await;
    for round in 0..5 {
        redis.run::<u64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
        for n in round * 20..round * 20 + 20 {
            publish(&one, "/topic/a", &n.to_string()).await;
        }
        numbers(&mut client, round * 20..round * 20 + 20).await;
    }
    assert_eq!(two.services.metrics.relay.missed.get(), 0);
}

#[tokio::test]
async fn what_was_trimmed_meanwhile_is_counted() {
    let redis = Redis::start(&["--stream-node-max-entries", "10"]).await;
    let short = |config: &mut Config| {
        streams(config);
        config.relay.streams.max_length = 20;
        // Away for long enough.
        config.relay.redis.reconnect.min = Duration::from_millis(500);
    };
    let one = redis.instance("b1", |config| {
        short(config);
        config.relay.redis.reconnect.min = Duration::from_millis(1);
    });
    let (one, two) = (one.await, redis.instance("b2", short).await);
    let mut client = subscriber(&two, "/topic/a").await;
    publish(&one, "/topic/a", "0").await;
    assert_eq!(body(&mut client).await, "0");
    redis.run::<u64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    connected(&two, false).await;
    for n in 1..=300 {
        publish(&one, "/topic/a", &n.to_string()).await;
    }
    let mut received = vec![body(&mut client).await.parse::<u64>().unwrap()];
    while received.last() != Some(&300) {
        received.push(body(&mut client).await.parse().unwrap());
    }
    assert!(received.is_sorted_by(|a, b| a < b), "{received:?}");
    let missed = 300 - u64::try_from(received.len()).unwrap();
    assert!(missed > 100, "{missed}");
    assert_eq!(two.services.metrics.relay.missed.get(), missed);
}

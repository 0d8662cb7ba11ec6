//! A Redis that dies, stands still, swallows everything or throws us out.
//!
//! What each client got is compared with what was published: nothing twice,
//! nothing out of order, and what is missing is what the instance says it
//! missed.

use std::time::Duration;

use albeit_backend::config::Config;
use serde_json::Value;

use crate::harness::{Running, Ws, until};
use crate::redis_server::{Redis, connected};
use crate::relay::{body, publish, subscriber};

const ROOM: &str = "/topic/room.a";

fn long_patience(config: &mut Config) {
    // The other instances are waited for twice as long.
    config.relay.redis.reconnect.max = Duration::from_secs(3);
}

fn short_patience(config: &mut Config) {
    long_patience(config);
    config.relay.redis.timeout = Duration::from_millis(300);
    config.relay.redis.connect_timeout = Duration::from_millis(300);
    config.relay.redis.ping_interval = Duration::from_millis(50);
}

/// One that listens and one that publishes numbers.
struct Pair {
    listening: Running,
    publishing: Running,
    remote: Ws,
    local: Ws,
    published: u64,
}

impl Pair {
    async fn start(redis: &Redis, change: fn(&mut Config)) -> Self {
        let listening = redis.instance("b1", change).await;
        let publishing = redis.instance("b2", change).await;
        let remote = subscriber(&listening, ROOM).await;
        let local = subscriber(&publishing, ROOM).await;
        let mut pair = Self { listening, publishing, remote, local, published: 0 };
        pair.publish(1).await;
        assert_eq!(body(&mut pair.remote).await, "1");
        until(|| pair.publishing.services.relay.status().unwrap().instances == Some(2)).await;
        pair
    }

    /// Publishes the next numbers; clients of the same instance get them now,
    /// whatever Redis does.
    async fn publish(&mut self, count: u64) {
        for _ in 0..count {
            self.published += 1;
            publish(&self.publishing, ROOM, &self.published.to_string()).await;
            assert_eq!(body(&mut self.local).await, self.published.to_string());
        }
    }

    async fn connected(&self, expected: bool) {
        connected(&self.listening, expected).await;
        connected(&self.publishing, expected).await;
    }

    /// What came on the other instance since the first message, up to the last
    /// one, which is published now.
    async fn received(&mut self) -> Vec<u64> {
        self.publish(1).await;
        let mut received = Vec::new();
        while received.last() != Some(&self.published) {
            received.push(body(&mut self.remote).await.parse().unwrap());
        }
        assert!(received.is_sorted_by(|a, b| a < b), "{received:?}");
        let missed = self.published - 1 - u64::try_from(received.len()).unwrap();
        assert_eq!(self.listening.services.metrics.relay.missed.get(), missed);
        assert_eq!(self.listening.services.metrics.relay.duplicates.get(), 0);
        received
    }
}

/// The fields of the next notice.
async fn resync(client: &mut Ws) -> (u64, Option<u64>) {
    let notice: Value = serde_json::from_str(&body(client).await).unwrap();
    (notice["missed"].as_u64().unwrap(), notice["disconnectedMs"].as_u64())
}

#[tokio::test]
async fn after_a_kill_and_a_restart_the_gap_told_is_the_true_gap() {
    let mut redis = Redis::start(&[]).await;
    let mut pair = Pair::start(&redis, long_patience).await;
    let mut events = subscriber(&pair.listening, "/topic/server.resync").await;
    pair.publish(50).await;
    redis.kill().await;
    pair.publish(50).await;
    pair.connected(false).await;
    pair.publish(50).await;
    redis.revive().await;
    pair.connected(true).await;
    let received = pair.received().await;
    // What was published while Redis was known to be away waited for both.
    assert!((102..=151).all(|n| received.contains(&n)), "{received:?}");
    let (_, cut_off) = resync(&mut events).await;
    assert!(cut_off.is_some());
    let relay = &pair.listening.services.metrics.relay;
    assert_eq!(relay.connections.get(), 2);
    let unconfirmed = pair.publishing.services.metrics.relay.dropped.with_label_values(&["unconfirmed"]);
    assert!(relay.missed.get() <= unconfirmed.get());
}

#[tokio::test]
async fn a_pause_that_is_short_loses_nothing() {
    let redis = Redis::start(&[]).await;
    let mut pair = Pair::start(&redis, long_patience).await;
    redis.signal("STOP").await;
    pair.publish(100).await;
    redis.signal("CONT").await;
    assert_eq!(pair.received().await.len(), 101);
    assert_eq!(pair.listening.services.metrics.relay.connections.get(), 1);
}

#[tokio::test]
async fn a_pause_that_is_long_is_an_outage() {
    let redis = Redis::start(&[]).await;
    let mut pair = Pair::start(&redis, short_patience).await;
    redis.signal("STOP").await;
    pair.publish(20).await;
    pair.connected(false).await;
    let error = pair.listening.services.relay.status().unwrap().last_error.unwrap();
    assert!(error.contains("time"), "{error}");
    pair.publish(20).await;
    redis.signal("CONT").await;
    pair.connected(true).await;
    let received = pair.received().await;
    assert!((22..=41).all(|n| received.contains(&n)), "{received:?}");
}

#[tokio::test]
async fn a_link_that_swallows_everything_is_noticed() {
    let redis = Redis::start(&[]).await;
    let mut pair = Pair::start(&redis, short_patience).await;
    redis.swallow(true);
    pair.publish(20).await;
    pair.connected(false).await;
    pair.publish(20).await;
    redis.swallow(false);
    pair.connected(true).await;
    let received = pair.received().await;
    assert!((22..=41).all(|n| received.contains(&n)), "{received:?}");
}

#[tokio::test]
async fn what_is_published_while_one_instance_is_thrown_out_is_a_gap() {
    let redis = Redis::start(&[]).await;
    let mut pair = Pair::start(&redis, long_patience).await;
    let mut events = subscriber(&pair.listening, "/topic/server.resync").await;
    for round in 2..5 {
        // All of them: they are of one kind.
        let killed: u64 = redis.run(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        assert_eq!(killed, 2);
        pair.publish(30).await;
        let (one, two) = (&pair.listening.services.metrics.relay, &pair.publishing.services.metrics.relay);
        until(|| one.connections.get() == round && two.connections.get() == round).await;
        pair.connected(true).await;
        pair.publish(30).await;
        let (missed, cut_off) = resync(&mut events).await;
        assert!(missed > 0 || cut_off.is_some());
    }
    pair.received().await;
}

#[tokio::test]
async fn a_kick_for_a_full_output_buffer_is_a_gap_of_one() {
    let redis = Redis::start(&[]).await;
    let mut pair = Pair::start(&redis, |_| {}).await;
    let limit = ["CONFIG", "SET", "client-output-buffer-limit", "pubsub 65536 0 0"];
    redis.run::<String>(&limit).await;
    let large = format!("\"{}\"", "x".repeat(200_000));
    // To those that listen to the channel: both, and both are thrown out. The
    // number is one that the listening instance does not know yet.
    let relay = &pair.listening.services.metrics.relay;
    publish(&pair.publishing, ROOM, &large).await;
    assert_eq!(body(&mut pair.local).await, large);
    until(|| relay.connections.get() >= 2).await;
    pair.connected(true).await;
    until(|| pair.publishing.services.relay.status().unwrap().instances == Some(2)).await;
    // The large one has a number, too.
    publish(&pair.publishing, ROOM, "after").await;
    assert_eq!(body(&mut pair.remote).await, "after");
    assert_eq!(relay.missed.get(), 1);
}

#[tokio::test]
async fn above_the_buffer_the_oldest_are_dropped_and_missed() {
    let mut redis = Redis::start(&[]).await;
    let mut pair = Pair::start(&redis, |config| {
        long_patience(config);
        config.relay.message_size_limit = 1024;
        config.relay.buffer_size_limit = 4096;
    })
    .await;
    redis.kill().await;
    pair.connected(false).await;
    pair.publish(100).await;
    redis.revive().await;
    pair.connected(true).await;
    let received = pair.received().await;
    let dropped = pair.publishing.services.metrics.relay.dropped.with_label_values(&["buffer"]).get();
    assert!((50..=100).contains(&dropped), "{dropped}");
    assert_eq!(*received.first().unwrap(), dropped + 2);
    assert_eq!(pair.listening.services.metrics.relay.missed.get(), dropped);
}

#[tokio::test]
async fn a_server_starts_without_redis_and_finds_it_later() {
    let mut redis = Redis::start(&[]).await;
    redis.kill().await;
    let server = crate::harness::start(|config| redis.relay(config));
    let mut client = subscriber(&server, ROOM).await;
    publish(&server, ROOM, "alone").await;
    assert_eq!(body(&mut client).await, "alone");
    assert!(!server.services.relay.status().unwrap().is_connected);
    redis.revive().await;
    connected(&server, true).await;
    let other = redis.instance("b2", |_| {}).await;
    publish(&other, ROOM, "together").await;
    assert_eq!(body(&mut client).await, "together");
}

#[tokio::test]
async fn what_reaches_nobody_counts_only_while_someone_is_away() {
    let redis = Redis::start(&[]).await;
    let one = redis.instance("b1", |_| {}).await;
    let mut two = redis.instance("b2", |_| {}).await;
    let relay = &one.services.metrics.relay;
    until(|| one.services.relay.status().unwrap().instances == Some(2)).await;
    publish(&one, "/topic/nobody", "x").await;
    until(|| relay.published.get() == 1).await;
    assert_eq!(relay.unheard.get(), 0);
    two.shutdown.cancel();
    two.stopped().await;
    until(|| one.services.relay.status().unwrap().instances == Some(1)).await;
    publish(&one, "/topic/nobody", "y").await;
    until(|| relay.unheard.get() == 1).await;
}

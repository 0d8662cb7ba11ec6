//! The broker and its outboxes.

use std::sync::atomic::AtomicUsize;

use super::*;

/// A message that counts how often it was encoded.
struct Text(&'static str, AtomicUsize);

impl Text {
    fn new(text: &'static str) -> Self {
        Self(text, AtomicUsize::new(0))
    }
}

impl Encode for Text {
    fn encode(&self, dialect: Dialect) -> Bytes {
        self.1.fetch_add(1, Ordering::Relaxed);
        Bytes::from(format!(" {}{}", self.0, dialect.0))
    }

    fn kind(&self) -> Kind {
        Kind::Text
    }
}

fn outbox(limit: usize) -> Arc<Outbox> {
    Arc::new(Outbox::new(limit))
}

fn take(outbox: &Outbox) -> Vec<Bytes> {
    let mut batch = Vec::new();
    outbox.take(&mut batch, usize::MAX, usize::MAX);
    batch.into_iter().map(Item::join).collect()
}

fn subscribe(broker: &Arc<Broker>, to: &str, outbox: &Arc<Outbox>, dialect: u8) -> Subscription {
    broker.subscribe(to, receiver(outbox, dialect))
}

fn receiver(outbox: &Arc<Outbox>, dialect: u8) -> Receiver {
    Receiver::new(Arc::clone(outbox), Bytes::from_static(b"id:"), Dialect(dialect))
}

#[tokio::test]
async fn subscribers_of_the_exact_destination_receive() {
    let broker = Arc::new(Broker::default());
    let (a, b) = (outbox(100), outbox(100));
    let _a = subscribe(&broker, "/topic/a", &a, 0);
    let _b = subscribe(&broker, "/topic/a/b", &b, 0);
    let published = broker.publish("/topic/a", &Text::new("hello")).await;
    assert_eq!(published, Published { delivered: 1, dropped: 0 });
    assert_eq!(take(&a), ["id:0 hello0"]);
    assert!(take(&b).is_empty());
}

#[tokio::test]
async fn a_message_is_encoded_once_per_dialect() {
    let broker = Arc::new(Broker::default());
    let boxes: Vec<_> = (0..1000).map(|_| outbox(100)).collect();
    let held: Vec<_> = boxes
        .iter()
        .enumerate()
        .map(|(n, outbox)| subscribe(&broker, "/topic/a", outbox, u8::from(n % 2 == 0)))
        .collect();
    let message = Text::new("m");
    assert_eq!(broker.publish("/topic/a", &message).await.delivered, 1000);
    assert_eq!(message.1.load(Ordering::Relaxed), 2);
    assert_eq!(take(&boxes[1]), ["id:0 m0"]);
    drop(held);
    assert!(!broker.has_subscribers("/topic/a"));
}

#[tokio::test]
async fn only_the_dropped_subscription_ends() {
    let broker = Arc::new(Broker::default());
    let boxes: Vec<_> = (0..2000).map(|_| outbox(1000)).collect();
    let mut held: Vec<_> =
        boxes.iter().map(|outbox| Some(subscribe(&broker, "/topic/a", outbox, 0))).collect();
    for (n, subscription) in held.iter_mut().enumerate() {
        if n % 3 != 0 {
            *subscription = None;
        }
    }
    let published = broker.publish("/topic/a", &Text::new("x")).await;
    assert_eq!(published.delivered, 667);
    for (n, outbox) in boxes.iter().enumerate() {
        assert_eq!(take(outbox).len(), usize::from(n % 3 == 0), "subscriber {n}");
    }
}

#[tokio::test]
async fn a_full_outbox_overflows_and_counts_what_it_dropped() {
    let broker = Arc::new(Broker::default());
    let (slow, fast) = (outbox(20), outbox(1000));
    let _slow = subscribe(&broker, "/topic/a", &slow, 0);
    let _fast = subscribe(&broker, "/topic/a", &fast, 0);
    let mut dropped = 0;
    for _ in 0..4 {
        dropped += broker.publish("/topic/a", &Text::new("x")).await.dropped;
    }
    assert_eq!(slow.state(), OutboxState::Overflowed);
    assert_eq!(take(&fast).len(), 4);
    // Two of seven bytes fitted; the third overflowed and took them with it.
    assert_eq!((dropped, slow.close().dropped), (2, 2));
    assert_eq!(slow.state(), OutboxState::Closed);
}

#[test]
fn take_stops_at_its_limits_and_keeps_the_order() {
    let outbox = Outbox::new(100);
    for text in ["a", "bb", "ccc"] {
        assert!(outbox.push(Item::whole(Bytes::from_static(text.as_bytes()))));
    }
    let mut batch = Vec::new();
    outbox.take(&mut batch, 2, 100);
    assert_eq!(batch.iter().map(Item::len).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(outbox.bytes(), 3);
    batch.clear();
    outbox.take(&mut batch, 2, 100);
    assert_eq!(batch.len(), 1);
}

#[tokio::test]
async fn filled_wakes_on_a_push_and_on_an_overflow() {
    let outbox = outbox(4);
    let waiting = tokio::time::timeout(std::time::Duration::from_secs(5), async {
        tokio::join!(outbox.filled(), async { outbox.push(Item::whole(Bytes::from_static(b"x"))) })
    });
    assert!(waiting.await.unwrap().1);
    assert!(!outbox.push(Item::whole(Bytes::from_static(b"too long"))));
    tokio::time::timeout(std::time::Duration::from_secs(5), outbox.filled()).await.unwrap();
}

#[tokio::test]
async fn held_deliveries_follow_older_messages_and_come_once() {
    let broker = Arc::new(Broker::default());
    let outbox = outbox(1000);
    let (_subscription, held) = broker.subscribe_held("/topic/a", receiver(&outbox, 0), 1000);
    for text in ["b", "c", "c"] {
        assert_eq!(broker.publish("/topic/a", &Text::new(text)).await.delivered, 1);
    }
    assert!(take(&outbox).is_empty());
    let (a, b, c) = (Text::new("a"), Text::new("b"), Text::new("c"));
    let released = held.release(&[&a, &b, &c], &[&a, &b, &c]).unwrap();
    assert_eq!(released, Published { delivered: 3, dropped: 0 });
    assert_eq!(broker.publish("/topic/a", &Text::new("d")).await.delivered, 1);
    assert_eq!(take(&outbox), ["id:3 a0", "id:4 b0", "id:5 c0", "id:2 c0", "id:6 d0"]);
}

#[tokio::test]
async fn a_hold_that_overflows_loses_nothing_in_silence() {
    let broker = Arc::new(Broker::default());
    let outbox = outbox(1000);
    let (_subscription, held) = broker.subscribe_held("/topic/a", receiver(&outbox, 0), 10);
    assert_eq!(broker.publish("/topic/a", &Text::new("a")).await.dropped, 0);
    assert_eq!(broker.publish("/topic/a", &Text::new("b")).await.dropped, 1);
    assert_eq!(held.release(&[], &[]), Err(HoldOverflow { dropped: 1 }));
    assert!(take(&outbox).is_empty());
}

#[test]
fn a_message_can_go_to_one_receiver_that_is_not_subscribed() {
    let broker = Broker::default();
    let outbox = outbox(1000);
    assert!(broker.deliver(&receiver(&outbox, 2), &Text::new("x")));
    assert_eq!(take(&outbox), ["id:0 x2"]);
}

#[tokio::test]
async fn a_pattern_and_a_destination_are_two_subscriptions() {
    let broker = Arc::new(Broker::default());
    let (both, pattern_only) = (outbox(100), outbox(100));
    let pattern = || Pattern::try_new("/topic/*").unwrap();
    let _exact = subscribe(&broker, "/topic/a", &both, 0);
    let first = broker.subscribe_pattern(pattern(), receiver(&both, 0)).unwrap();
    let _second = broker.subscribe_pattern(pattern(), receiver(&pattern_only, 0)).unwrap();
    assert_eq!(broker.publish("/topic/a", &Text::new("x")).await.delivered, 3);
    assert_eq!((take(&both).len(), take(&pattern_only).len()), (2, 1));
    drop(first);
    assert_eq!(broker.publish("/topic/a", &Text::new("x")).await.delivered, 2);
    assert_eq!(broker.publish("/topic/b", &Text::new("x")).await.delivered, 1);
    assert!(broker.has_subscribers("/topic/c"));
    assert!(!broker.has_subscribers("/queue/c"));
}

#[tokio::test]
async fn no_pattern_matches_what_is_inside_the_broker() {
    let broker = Arc::new(Broker::default());
    let spy = outbox(100);
    for text in ["**", "/**", "*/**", "user:*/**", "**/x"] {
        let pattern = Pattern::try_new(text).unwrap();
        let _subscription = broker.subscribe_pattern(pattern, receiver(&spy, 0)).unwrap();
        assert_eq!(broker.publish("user:3:ann/queue/x", &Text::new("x")).await.delivered, 0);
    }
}

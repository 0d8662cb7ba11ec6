//! Windows, alone and in an outbox.

use proptest::prelude::*;

use super::super::{Kind, Outbox, OutboxState};
use super::*;

fn terms(settling: Settling, window: usize) -> Acknowledging {
    Acknowledging { settling, window, redelivered: Bytes::from_static(b"+") }
}

fn item(window: WindowId, number: u64) -> Item {
    Item {
        kind: Kind::Text,
        head: number.to_string().into(),
        tail: Bytes::from_static(b"."),
        pending: Some(Pending { window, number }),
    }
}

/// What the writer of an outbox gets, as text.
fn take(outbox: &Outbox) -> String {
    let mut batch = Vec::new();
    outbox.take(&mut batch, usize::MAX, usize::MAX);
    let texts = batch.into_iter().map(|item| String::from_utf8(item.join().to_vec()).unwrap());
    texts.collect()
}

/// An outbox whose window got the numbers 0 to 5.
fn published(settling: Settling, window: usize) -> (Outbox, WindowId) {
    let outbox = Outbox::new(1000);
    let id = outbox.open_window(terms(settling, window));
    for number in 0..6 {
        assert!(outbox.push(item(id, number)));
    }
    (outbox, id)
}

#[test]
fn what_exceeds_the_window_is_released_by_acknowledgements() {
    let (outbox, id) = published(Settling::Individual, 3);
    assert_eq!(take(&outbox), "0.1.2.");
    let settled = outbox.acknowledge(id, 1).unwrap();
    assert_eq!(settled, Settled { acknowledged: 1, ..Settled::default() });
    assert_eq!(take(&outbox), "3.");
    // What is held back goes first.
    assert!(outbox.push(item(id, 6)));
    assert_eq!(take(&outbox), "");
    for number in [0, 3, 2] {
        outbox.acknowledge(id, number).unwrap();
    }
    assert_eq!(take(&outbox), "4.5.6.");
}

#[test]
fn a_cumulative_acknowledgement_settles_all_before_it() {
    let (outbox, id) = published(Settling::Cumulative, 4);
    assert_eq!(take(&outbox), "0.1.2.3.");
    assert_eq!(outbox.acknowledge(id, 2).unwrap().acknowledged, 3);
    assert_eq!(take(&outbox), "4.5.");
    assert_eq!(outbox.acknowledge(id, 2), Err(UnknownMessage));
    assert_eq!(outbox.acknowledge(id, 5).unwrap().acknowledged, 3);
}

#[test]
fn a_refused_message_comes_once_more_and_is_then_discarded() {
    let (outbox, id) = published(Settling::Individual, 2);
    assert_eq!(take(&outbox), "0.1.");
    let again = Settled { redelivered: 1, ..Settled::default() };
    assert_eq!(outbox.refuse(id, 0), Ok(again));
    assert_eq!(take(&outbox), "0+.");
    assert_eq!(outbox.refuse(id, 0), Ok(Settled { discarded: 1, ..Settled::default() }));
    assert_eq!(take(&outbox), "2.");
    assert_eq!(outbox.refuse(id, 0), Err(UnknownMessage));
}

#[test]
fn only_what_is_in_flight_can_be_acknowledged() {
    let (outbox, id) = published(Settling::Individual, 2);
    // Held back, never published, in a window that there is not.
    assert_eq!(outbox.acknowledge(id, 3), Err(UnknownMessage));
    assert_eq!(outbox.acknowledge(id, 99), Err(UnknownMessage));
    outbox.close_window(id);
    assert_eq!(outbox.acknowledge(id, 0), Err(UnknownMessage));
    assert_eq!(outbox.close(), super::super::Lost { dropped: 2, unacknowledged: 6 });
}

#[test]
fn what_is_not_acknowledged_stays_within_the_limit() {
    let outbox = Outbox::new(10);
    let id = outbox.open_window(terms(Settling::Individual, 2));
    for number in 0..5 {
        assert!(outbox.push(item(id, number)));
        take(&outbox);
    }
    assert_eq!(outbox.state(), OutboxState::Open);
    assert!(!outbox.push(item(id, 5)));
    assert_eq!(outbox.state(), OutboxState::Unacknowledged);
    assert_eq!(outbox.close(), super::super::Lost { dropped: 0, unacknowledged: 5 });
}

#[test]
fn acknowledging_what_was_never_read_does_not_lift_the_limit() {
    let outbox = Outbox::new(10);
    let id = outbox.open_window(terms(Settling::Individual, 1));
    let mut taken = 0;
    while outbox.push(item(id, taken)) {
        assert!(outbox.acknowledge(id, taken).is_ok());
        taken += 1;
        assert!(taken < 10);
    }
    assert_eq!((taken, outbox.state()), (5, OutboxState::Overflowed));
}

#[tokio::test]
async fn an_acknowledgement_wakes_the_writer() {
    let (outbox, id) = published(Settling::Individual, 1);
    take(&outbox);
    let waiting = tokio::time::timeout(std::time::Duration::from_secs(5), async {
        tokio::join!(outbox.filled(), async { outbox.acknowledge(id, 0) })
    });
    assert!(waiting.await.unwrap().1.is_ok());
    assert_eq!(take(&outbox), "1.");
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Publish,
    Settle(Verdict, prop::sample::Index),
}

fn any_step() -> impl Strategy<Value = Step> {
    let verdict = prop_oneof![Just(Verdict::Acknowledged), Just(Verdict::Refused)];
    prop_oneof![
        Just(Step::Publish),
        (verdict, any::<prop::sample::Index>()).prop_map(|(v, i)| Step::Settle(v, i))
    ]
}

proptest! {
    #[test]
    fn each_copy_is_delivered_in_order_and_settled_once(
        limit in 1_usize..5,
        cumulative in any::<bool>(),
        steps in proptest::collection::vec(any_step(), 0..200),
    ) {
        let settling = if cumulative { Settling::Cumulative } else { Settling::Individual };
        let mut windows = Windows::default();
        let id = windows.open(terms(settling, limit));
        let mut delivered: Vec<Item> = Vec::new();
        let (mut published, mut settled) = (0, 0);
        for step in steps {
            match step {
                Step::Publish => {
                    delivered.extend(windows.offer(Pending { window: id, number: published }, item(id, published)));
                    published += 1;
                }
                Step::Settle(verdict, index) if published > 0 => {
                    let number = u64::try_from(index.index(usize::try_from(published).unwrap())).unwrap();
                    let pending = Pending { window: id, number };
                    if let Ok(result) = windows.settle(pending, verdict, &mut delivered) {
                        settled += result.acknowledged + result.discarded;
                    }
                }
                Step::Settle(..) => {}
            }
            let window = &windows.windows[&id];
            prop_assert!(window.in_flight.len() <= limit);
            prop_assert!(window.held.is_empty() || window.in_flight.len() == limit);
            prop_assert_eq!(windows.held(), bytes(&window.held));
            prop_assert_eq!(windows.unsettled(), bytes(&window.held) + bytes(&window.in_flight));
        }
        let (again, first): (Vec<_>, Vec<_>) =
            delivered.iter().partition(|item| item.head.ends_with(b"+"));
        let number = |item: &&Item| item.pending.unwrap().number;
        let first: Vec<u64> = first.iter().map(number).collect();
        prop_assert_eq!(&first, &(0..count(first.len())).collect::<Vec<_>>());
        let mut again: Vec<u64> = again.iter().map(number).collect();
        let redelivered = again.len();
        again.sort_unstable();
        again.dedup();
        prop_assert_eq!(again.len(), redelivered, "redelivered once at most");
        prop_assert_eq!(windows.close(id), published - settled);
        prop_assert_eq!(windows.unsettled(), 0);
    }
}

//! Links: bounds, order, and who is attached.

use tokio::task::JoinSet;

use super::*;

fn link(messages: usize, inbound: usize) -> Arc<Link> {
    Arc::new(Link::new(Limits { messages, bytes: 100, inbound }, Instant::now()))
}

#[tokio::test]
async fn what_is_pushed_is_taken_in_order_by_the_attached_request() {
    let link = link(10, 10);
    assert!(link.push("a".into()));
    assert!(link.push("b".into()));
    let mut request = link.attach().unwrap();
    assert_eq!(request.next(1).await, Taken::Messages(vec!["a".into()]));
    assert_eq!(link.attach().unwrap_err(), AttachError::Busy);
    assert_eq!(request.next(100).await, Taken::Messages(vec!["b".into()]));
    request.finish();
    assert_eq!(link.event(true).await, LinkEvent::Attached);
    assert_eq!(link.event(true).await, LinkEvent::Detached);
}

#[tokio::test]
async fn a_close_is_told_to_every_request_after_what_waits() {
    let link = link(10, 10);
    link.push("a".into());
    link.close(3000, "Go away!");
    assert!(!link.push("b".into()));
    let close = Taken::Closed(Close { code: 3000, reason: "Go away!".into() });
    for _ in 0..2 {
        let mut request = link.attach().unwrap();
        let mut taken = request.next(100).await;
        if taken == Taken::Messages(vec!["a".into()]) {
            taken = request.next(100).await;
        }
        assert_eq!(taken, close);
    }
}

#[tokio::test]
async fn a_client_that_does_not_fetch_overflows() {
    let link = link(2, 10);
    assert!(link.push("a".into()));
    assert!(link.push("b".into()));
    assert!(!link.push("c".into()));
    assert!(!link.push("d".into()));
    assert_eq!(link.event(false).await, LinkEvent::Overflowed);
    assert_eq!((link.abandon(), link.abandon()), (4, 0));
}

#[tokio::test]
async fn a_request_waits_while_the_task_is_behind() {
    let link = link(2, 1);
    let delivering = Arc::clone(&link);
    let mut requests = JoinSet::new();
    requests.spawn(async move { delivering.deliver(vec!["1".into(), "2".into(), "3".into()]).await });
    for expected in ["1", "2", "3"] {
        assert_eq!(link.event(true).await, LinkEvent::Message(expected.into()));
    }
    requests.join_next().await.unwrap().unwrap().unwrap();
    link.close(1000, "");
    assert_eq!(link.deliver(vec!["4".into()]).await, Err(Over));
}

#[tokio::test]
async fn a_request_that_breaks_is_told_apart() {
    let link = link(2, 1);
    drop(link.attach().unwrap());
    assert_eq!(link.event(true).await, LinkEvent::Attached);
    assert_eq!(link.event(true).await, LinkEvent::Broken);
    assert!(link.detached_at().is_some());
}

#[test]
fn a_table_is_bounded_and_keeps_the_newer_session() {
    let table = Table::new(1);
    let (first, new) = table.get_or_insert("a", || 1).unwrap();
    assert!(new);
    assert!(!table.get_or_insert("a", || 2).unwrap().1);
    assert_eq!(table.get_or_insert("b", || 3), Err(TableFull));
    table.remove("a", &Arc::new(1));
    assert_eq!(table.len(), 1);
    table.remove("a", &first);
    assert!(table.is_empty());
}

#[test]
fn a_table_gives_back_the_room_of_a_crowd() {
    let table = Table::new(usize::MAX);
    let crowd: Vec<_> = (0..10_000)
        .map(|n| {
            let id = n.to_string();
            let (session, _) = table.get_or_insert(&id, || n).unwrap();
            (id, session)
        })
        .collect();
    assert!(table.capacity() >= 10_000);
    for (id, session) in &crowd {
        table.remove(id, session);
    }
    assert!(table.is_empty());
    assert!(table.capacity() < 1000, "{}", table.capacity());
}

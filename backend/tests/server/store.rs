//! The message store over SQLite: what is kept, what is told when it is not,
//! and that no live message waits for it.

use std::path::Path;
use std::time::Duration;

use albeit_backend::config::{Config, ShowDetails, StoreUrl};
use albeit_backend::store::{Cause, Status, Stored};
use bytes::Bytes;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

use crate::harness::{Running, Ws, soon, start, until};

pub(crate) const ROOM: &str = "/topic/room.a";

pub(crate) fn stored(body: impl Into<Bytes>) -> Stored {
    Stored {
        destination: ROOM.to_owned(),
        content_type: "text/plain".to_owned(),
        body: body.into(),
        timestamp: now(),
    }
}

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// The bodies of a room, oldest first.
pub(crate) async fn bodies(server: &Running) -> Vec<String> {
    let history = soon(server.services.store.history(ROOM, 500)).await.unwrap();
    history.into_iter().map(|message| String::from_utf8(message.body.to_vec()).unwrap()).collect()
}

pub(crate) fn is_down(server: &Running, expected: Cause) -> bool {
    matches!(server.services.store.status(), Status::Down(failure) if failure.cause == expected)
}

/// Short timers, for a database that fails.
pub(crate) fn impatient(config: &mut Config, url: String) {
    config.store.url = StoreUrl(url);
    config.store.timeout = Duration::from_millis(400);
    config.store.retry_interval = Duration::from_millis(50);
    config.store.check_interval = Duration::from_millis(50);
}

fn file(dir: &TempDir) -> String {
    url(&dir.path().join("messages.db"))
}

fn url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

/// Somebody else's connection to the same file.
async fn connection(url: &str) -> SqliteConnection {
    soon(SqliteConnection::connect(url)).await.unwrap()
}

async fn execute(connection: &mut SqliteConnection, statement: &'static str) {
    soon(sqlx::query(statement).execute(connection)).await.unwrap();
}

/// A client in the room, which hears what it says.
pub(crate) async fn talker(server: &Running) -> Ws {
    let mut client = server.stomp().await;
    client.send(&format!("SUBSCRIBE\nid:0\ndestination:{ROOM}\nreceipt:r\n\n\0")).await;
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:r\n\n\0");
    client
}

pub(crate) async fn say(client: &mut Ws, text: &str) {
    client.send(&format!("SEND\ndestination:/app/room.a\n\n{text}\0")).await;
    let heard = client.text().await;
    assert!(heard.contains(&format!("\"text\":\"{text}\"")), "{heard}");
}

#[tokio::test]
async fn a_message_is_in_the_history_as_soon_as_it_was_delivered() {
    let server = start(|config| config.store.batch_time = Duration::from_secs(600));
    let mut client = talker(&server).await;
    for text in ["one", "two", "three"] {
        say(&mut client, text).await;
    }
    let history = soon(server.services.store.history(ROOM, 2)).await.unwrap();
    assert_eq!(
        history.iter().map(|message| message.content_type.as_str()).collect::<Vec<_>>(),
        ["application/json"; 2]
    );
    assert!(history[0].body.windows(5).any(|part| part == b"\"two\""), "{history:?}");
    assert!(history[1].body.windows(7).any(|part| part == b"\"three\""), "{history:?}");
    assert!(server.services.store.history("/topic/room.b", 2).await.unwrap().is_empty());
    assert_eq!(server.services.store.monitor().unwrap().database(), "SQLite");
}

#[tokio::test]
async fn a_file_keeps_messages_over_a_restart_whole_and_in_order() {
    let dir = TempDir::new().unwrap();
    let binary = Stored { content_type: String::new(), ..stored(vec![0, 0xff, b'\n']) };
    let before = Stored { timestamp: now() - 60_000, ..stored("earlier, by the publisher's clock") };
    let mut server = start(|config| config.store.url = StoreUrl(file(&dir)));
    for message in [before.clone(), binary.clone()] {
        server.services.store.record(message);
    }
    // What waits at the end is written, too.
    server.shutdown.cancel();
    server.stopped().await;
    assert_eq!(server.services.metrics.store.stored.get(), 2);
    server.services.store.record(stored("too late"));
    assert_eq!(server.services.metrics.store.dropped.with_label_values(&["queue_full"]).get(), 1);

    let server = start(|config| config.store.url = StoreUrl(file(&dir)));
    server.services.store.record(stored("after"));
    let history = soon(server.services.store.history(ROOM, 10)).await.unwrap();
    assert_eq!(history[..2], [before, binary]);
    assert_eq!(history[2].body, "after");
}

#[tokio::test]
async fn history_comes_in_pages() {
    let server = start(|config| config.store.history_limit = 4);
    let store = &server.services.store;
    for n in 0..5 {
        store.record(stored(n.to_string()));
    }
    until(|| server.services.metrics.store.stored.get() == 5).await;
    for n in 5..10 {
        store.record(stored(n.to_string()));
    }
    let (mut before, mut read) = (None, Vec::new());
    loop {
        let page = soon(store.page(ROOM, before, 100)).await.unwrap();
        let Some(first) = page.first() else { break };
        assert!(page.len() <= 4);
        before = Some(first.id);
        let bodies = page.iter().map(|kept| String::from_utf8(kept.message.body.to_vec()).unwrap());
        read.splice(0..0, bodies.collect::<Vec<_>>());
    }
    assert_eq!(read, (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_page_of_large_messages_has_fewer_of_them() {
    let server = start(|_| {});
    let store = &server.services.store;
    for n in 0..6 {
        store.record(stored(vec![b'0' + n; 1 << 20]));
    }
    let page = soon(store.page(ROOM, None, 100)).await.unwrap();
    assert_eq!(page.iter().map(|kept| kept.message.body[0]).collect::<Vec<_>>(), b"2345");
    let page = soon(store.page(ROOM, Some(page[0].id), 100)).await.unwrap();
    assert_eq!(page.iter().map(|kept| kept.message.body[0]).collect::<Vec<_>>(), b"01");
}

#[tokio::test]
async fn a_store_that_is_off_keeps_nothing_and_is_no_failure() {
    let server = start(|config| config.store.enabled = false);
    say(&mut talker(&server).await, "unkept").await;
    assert_eq!(server.services.store.status(), Status::Off);
    assert!(server.services.store.history(ROOM, 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_locked_database_delays_no_message_and_gets_them_later() {
    let dir = TempDir::new().unwrap();
    let server = start(|config| {
        impatient(config, file(&dir));
        config.management.endpoint.health.show_details = ShowDetails::Always;
        config.management.endpoint.health.cache.time_to_live = Duration::ZERO;
    });
    until(|| server.services.store.status() == Status::Up).await;
    let (status, body) = server.get("/actuator/health/store").await;
    assert!(status == 200 && body.starts_with("{\"status\":\"UP\","), "{body}");
    let mut other = connection(&file(&dir)).await;
    execute(&mut other, "BEGIN IMMEDIATE").await;
    let mut client = talker(&server).await;
    say(&mut client, "live").await;
    until(|| is_down(&server, Cause::Locked)).await;
    assert_eq!(server.services.metrics.store.up.get(), 0);
    let health = server.get("/actuator/health/store").await;
    assert_eq!(health.0, 503);
    assert!(health.1.contains("\"database\":\"SQLite\"") && health.1.contains("\"waiting\":1"), "{health:?}");
    assert_eq!(server.get("/health").await.0, 200, "a store is no reason to take an instance away");
    say(&mut client, "still live").await;
    assert_eq!(bodies(&server).await.len(), 2, "what waits is history as well");
    execute(&mut other, "COMMIT").await;
    until(|| server.services.metrics.store.stored.get() == 2).await;
    until(|| server.services.store.status() == Status::Up).await;
    assert_eq!(server.services.store.monitor().unwrap().queued(), 0);
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_is_told_and_taken_up_when_it_can() {
    let dir = TempDir::new().unwrap();
    let missing = dir.path().join("missing");
    let server = start(|config| {
        impatient(config, url(&missing.join("messages.db")));
        config.store.queue_messages = 2;
    });
    until(|| is_down(&server, Cause::Unreachable)).await;
    let mut client = talker(&server).await;
    for text in ["1", "2", "3", "4", "5"] {
        say(&mut client, text).await;
    }
    let metrics = &server.services.metrics.store;
    assert_eq!(metrics.dropped.with_label_values(&["queue_full"]).get(), 3);
    let error = soon(server.services.store.history(ROOM, 1)).await.unwrap_err();
    assert!(error.to_string().starts_with("the message store is down (unreachable: "), "{error}");
    assert_eq!(metrics.errors.with_label_values(&["read"]).get(), 1);
    std::fs::create_dir(&missing).unwrap();
    until(|| metrics.stored.get() == 2).await;
    until(|| server.services.store.status() == Status::Up).await;
    assert_eq!(bodies(&server).await.len(), 2);
}

#[tokio::test]
async fn a_full_database_is_told_and_recovers() {
    let dir = TempDir::new().unwrap();
    let mut other = connection(&format!("{}?mode=rwc", file(&dir))).await;
    execute(&mut other, "PRAGMA journal_mode = WAL").await;
    execute(&mut other, "CREATE TABLE other AS SELECT zeroblob(16760000) AS filling").await;
    let server = start(|config| {
        impatient(config, file(&dir));
        config.store.max_size = 16 << 20;
    });
    let mut client = talker(&server).await;
    let long = "x".repeat(60_000);
    say(&mut client, &long).await;
    until(|| is_down(&server, Cause::Full)).await;
    say(&mut client, "live").await;
    execute(&mut other, "DROP TABLE other").await;
    until(|| server.services.metrics.store.stored.get() == 2).await;
    until(|| server.services.store.status() == Status::Up).await;
}

#[tokio::test]
async fn old_messages_go_by_number_by_age_and_by_size() {
    let by_number = start(|config| {
        config.store.retention_messages = 3;
        config.store.check_interval = Duration::from_millis(20);
    });
    for n in 0..10 {
        by_number.services.store.record(stored(n.to_string()));
    }
    until(|| by_number.services.metrics.store.pruned.get() == 7).await;
    assert_eq!(bodies(&by_number).await, ["7", "8", "9"]);

    let by_age = start(|config| {
        config.store.retention_age = Duration::from_secs(3600);
        config.store.check_interval = Duration::from_millis(20);
    });
    by_age.services.store.record(Stored { timestamp: now() - 2 * 3_600_000, ..stored("old") });
    by_age.services.store.record(stored("new"));
    until(|| by_age.services.metrics.store.pruned.get() == 1).await;
    assert_eq!(bodies(&by_age).await, ["new"]);

    let by_size = start(|config| config.store.max_size = 16 << 20);
    let metrics = &by_size.services.metrics.store;
    for n in 1..=30 {
        by_size.services.store.record(stored(vec![b'a'; 1 << 20]));
        until(|| metrics.stored.get() == n).await;
    }
    by_size.services.store.record(stored("last"));
    until(|| metrics.stored.get() == 31).await;
    assert!(metrics.pruned.get() >= 14, "{}", metrics.pruned.get());
    assert_eq!(bodies(&by_size).await.last().unwrap(), "last");
}

#[tokio::test]
async fn a_shutdown_waits_for_a_failing_database_for_its_time_only() {
    let dir = TempDir::new().unwrap();
    let mut server = start(|config| {
        impatient(config, file(&dir));
        config.store.flush_timeout = Duration::from_millis(100);
    });
    until(|| server.services.store.status() == Status::Up).await;
    let mut other = connection(&file(&dir)).await;
    execute(&mut other, "BEGIN IMMEDIATE").await;
    server.services.store.record(stored("lost"));
    server.shutdown.cancel();
    server.stopped().await;
    assert_eq!(server.services.metrics.store.dropped.with_label_values(&["shutdown"]).get(), 1);
}

#[tokio::test]
async fn a_message_too_large_for_a_database_is_dropped_from_the_store_alone() {
    let server = start(|_| {});
    server.services.store.record(stored(vec![b'x'; (1 << 20) + 1]));
    server.services.store.record(stored("small"));
    assert_eq!(bodies(&server).await, ["small"]);
    assert_eq!(server.services.metrics.store.dropped.with_label_values(&["too_large"]).get(), 1);
}

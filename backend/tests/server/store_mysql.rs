//! The message store over MySQL, with a MariaDB server.

use std::time::Duration;

use albeit_backend::config::{Config, Password};
use albeit_backend::store::{Cause, Status, Stored};

use crate::harness::{Running, soon, start, until};
use crate::mariadb::MariaDb;
use crate::store::{ROOM, bodies, impatient, is_down, say, stored, talker};

fn server(database: &MariaDb, change: impl FnOnce(&mut Config)) -> Running {
    start(|config| {
        impatient(config, database.url());
        config.store.password = Some(Password("secret".to_owned()));
        change(config);
    })
}

#[tokio::test]
async fn two_instances_with_one_mysql_have_one_history() {
    let Some(database) = MariaDb::start().await else { return };
    let (first, second) = (server(&database, |_| {}), server(&database, |_| {}));
    let stores = [&first.services.store, &second.services.store];
    assert_eq!(stores[0].monitor().unwrap().database(), "MySQL");
    let mut client = talker(&first).await;
    say(&mut client, "über 🚀").await;
    until(|| first.services.metrics.store.stored.get() == 1).await;
    assert!(bodies(&second).await[0].contains("\"text\":\"über 🚀\""));

    // Names that a collation takes for one, and bytes that are no text.
    for (destination, body) in [("/topic/room.A", vec![0xff, 0]), ("/topic/room.ä", vec![1])] {
        stores[0].record(Stored { destination: destination.to_owned(), ..stored(body) });
    }
    for n in 0..40 {
        stores[n % 2].record(Stored { timestamp: 4_000_000_000_000 + n as u64, ..stored(n.to_string()) });
    }
    let written = || {
        let [first, second] = [&first, &second].map(|server| server.services.metrics.store.stored.get());
        first + second == 43
    };
    until(written).await;
    let history = bodies(&first).await;
    assert_eq!(history, bodies(&second).await);
    assert_eq!(history[1..], (0..40).map(|n| n.to_string()).collect::<Vec<_>>());
    let binary = soon(stores[1].history("/topic/room.A", 9)).await.unwrap();
    assert_eq!(binary.iter().map(|message| &message.body[..]).collect::<Vec<_>>(), [[0xff, 0]]);
    let page = soon(stores[1].page(ROOM, None, 3)).await.unwrap();
    let earlier = soon(stores[1].page(ROOM, Some(page[0].id), 2)).await.unwrap();
    assert_eq!(earlier.iter().map(|kept| &kept.message.body[..]).collect::<Vec<_>>(), [b"35", b"36"]);
}

#[tokio::test]
async fn mysql_lets_old_messages_go_and_refuses_what_does_not_fit() {
    let Some(database) = MariaDb::start().await else { return };
    let server = server(&database, |config| {
        config.store.retention_messages = 3;
        config.store.retention_age = Duration::from_secs(3600);
    });
    let (store, metrics) = (&server.services.store, &server.services.metrics.store);
    store.record(Stored { timestamp: 1, ..stored("of 1970") });
    for n in 0..10 {
        store.record(stored(n.to_string()));
    }
    store.record(Stored { destination: "x".repeat(600), ..stored("of a name too long") });
    store.record(stored("last"));
    until(|| metrics.stored.get() == 12).await;
    assert_eq!(metrics.dropped.with_label_values(&["rejected"]).get(), 1);
    until(|| metrics.pruned.get() == 9).await;
    assert_eq!(bodies(&server).await, ["8", "9", "last"]);
    assert_eq!(store.status(), Status::Up);

    database.execute("DROP TABLE chat.albeit_messages").await;
    store.record(stored("into a new table"));
    until(|| metrics.stored.get() == 13).await;
    database.execute("SET GLOBAL read_only = ON").await;
    store.record(stored("later"));
    until(|| is_down(&server, Cause::ReadOnly)).await;
    database.execute("SET GLOBAL read_only = OFF").await;
    until(|| metrics.stored.get() == 14).await;
}

#[tokio::test]
async fn a_mysql_that_is_killed_or_stands_still_costs_no_live_message() {
    let Some(mut database) = MariaDb::start().await else { return };
    let server = server(&database, |config| config.store.queue_messages = 5);
    let metrics = &server.services.metrics.store;
    let mut client = talker(&server).await;
    say(&mut client, "before").await;
    until(|| metrics.stored.get() == 1).await;

    // It accepts connections and answers nothing.
    database.signal("-STOP");
    say(&mut client, "while it stands still").await;
    until(|| is_down(&server, Cause::Unreachable)).await;
    database.signal("-CONT");
    until(|| metrics.stored.get() == 2).await;
    until(|| server.services.store.status() == Status::Up).await;

    database.kill();
    for n in 0..8 {
        say(&mut client, &format!("without {n}")).await;
    }
    until(|| is_down(&server, Cause::Unreachable)).await;
    assert_eq!(metrics.dropped.with_label_values(&["queue_full"]).get(), 3);
    assert!(soon(server.services.store.history(ROOM, 1)).await.is_err());
    database.restart();
    until(|| metrics.stored.get() == 7).await;
    until(|| server.services.store.status() == Status::Up).await;
    let expected =
        ["before", "while it stands still", "without 0", "without 1", "without 2", "without 3", "without 4"];
    let history = bodies(&server).await;
    assert_eq!(history.len(), expected.len(), "none twice: {history:?}");
    for (message, text) in history.iter().zip(expected) {
        assert!(message.contains(&format!("\"text\":\"{text}\"")), "{message}");
    }
}

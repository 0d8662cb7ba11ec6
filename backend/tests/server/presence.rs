//! Who is in a room, as clients see it.

use std::time::Duration;

use albeit_backend::endpoint::Services;
use albeit_backend::presence::{Announced, Announcement, Kind};
use albeit_backend::relay::{Address, Received};
use serde_json::{Value, json};

use crate::harness::{Running, Ws, soon, start};

fn server() -> Running {
    start(|config| {
        config.presence.announce_interval = Duration::from_millis(200);
        config.presence.change_delay = Duration::from_millis(10);
    })
}

async fn subscribe(client: &mut Ws, id: &str, destination: &str) {
    client.send(&format!("SUBSCRIBE\nid:{id}\ndestination:{destination}\nreceipt:{id}\n\n\0")).await;
    assert_eq!(client.text().await, format!("RECEIPT\nreceipt-id:{id}\n\n\0"));
}

/// The JSON of the next message, which is from `destination`.
async fn message(client: &mut Ws, destination: &str) -> Value {
    let text = client.text().await;
    assert!(text.starts_with("MESSAGE\n"), "{text}");
    assert!(text.contains(&format!("\ndestination:{destination}\n")), "{text}");
    assert!(text.contains("\ncontent-type:application/json\n"), "{text}");
    serde_json::from_str(text.split_once("\n\n").unwrap().1.trim_end_matches('\0')).unwrap()
}

/// What is read of a room once.
async fn presence(client: &mut Ws, room: &str) -> Value {
    let destination = format!("/app/presence.room.{room}");
    client.send(&format!("SUBSCRIBE\nid:read\ndestination:{destination}\n\n\0")).await;
    let report = message(client, &destination).await;
    client.send("UNSUBSCRIBE\nid:read\n\n\0").await;
    report
}

/// Skips what clients hear of a room until this many sessions are there.
async fn until(client: &mut Ws, room: &str, sessions: u64) -> Value {
    loop {
        let change = message(client, &format!("/topic/presence.room.{room}")).await;
        if change["sessions"] == sessions {
            return change;
        }
    }
}

/// Another instance announces itself.
async fn announce(services: &Services, sequence: u64, kind: Kind, room: Option<Announced>) {
    let announcement = Announcement {
        id: "other".to_owned(),
        instance: "b2".to_owned(),
        sequence,
        kind,
        rooms: room.into_iter().map(|room| ("/topic/room.a".to_owned(), room)).collect(),
    };
    let received = Received {
        address: Address::Destination("/presence/announcements".to_owned()),
        content_type: None,
        body: announcement.encode().unwrap().into(),
    };
    services.receive(received).await;
}

fn in_room(user: &str) -> Announced {
    Announced { sessions: 2, anonymous: 1, users: [(user.to_owned(), 1)].into() }
}

#[tokio::test]
async fn sessions_in_a_room_are_counted_while_they_are_subscribed() {
    let server = server();
    let (mut watcher, mut ann, mut bob) = (server.stomp().await, server.stomp().await, server.stomp().await);
    subscribe(&mut watcher, "0", "/topic/presence.room.a").await;
    let nobody = json!({"destination": "/topic/room.a", "sessions": 0, "anonymous": 0, "instances": []});
    assert_eq!(presence(&mut watcher, "a").await, nobody);
    subscribe(&mut ann, "0", "/topic/room.a").await;
    // A second subscription of a session is no second one in the room.
    subscribe(&mut bob, "0", "/topic/room.a").await;
    subscribe(&mut bob, "1", "/topic/room.a").await;
    let change = until(&mut watcher, "a", 2).await;
    assert_eq!((&change["destination"], &change["joined"]), (&json!("/topic/room.a"), &json!([])));
    let instance = json!({"instance": "b1", "sessions": 2, "anonymous": 2, "users": []});
    let report = presence(&mut watcher, "a").await;
    assert_eq!(report["instances"], json!([instance]));
    let (status, body) = server.get("/rooms/a/presence").await;
    assert_eq!((status, serde_json::from_str(&body).ok()), (200, Some(report)));
    ann.send("UNSUBSCRIBE\nid:0\n\n\0").await;
    until(&mut watcher, "a", 1).await;
    bob.send("UNSUBSCRIBE\nid:0\n\n\0").await;
    drop(bob);
    until(&mut watcher, "a", 0).await;
    assert_eq!(presence(&mut watcher, "a").await, nobody);
}

#[tokio::test]
async fn other_instances_are_heard_and_forgotten_when_they_are_silent() {
    let server = server();
    let services = &server.services;
    let mut watcher = server.stomp().await;
    subscribe(&mut watcher, "0", "/topic/presence.room.a").await;
    announce(services, 1, Kind::Snapshot { number: 1, parts: 1 }, Some(in_room("ann"))).await;
    let change = until(&mut watcher, "a", 2).await;
    assert_eq!(change["joined"], json!([{"name": "ann", "instance": "b2"}]));
    let report = services.presence.members("/topic/room.a").unwrap();
    assert_eq!((report.instances[0].instance.as_str(), report.instances[0].anonymous), ("b2", 1));
    let change = until(&mut watcher, "a", 0).await;
    assert_eq!(change["left"], json!([{"name": "ann", "instance": "b2"}]));
    // One that says that it leaves is gone at once.
    announce(services, 2, Kind::Changes, Some(in_room("bob"))).await;
    announce(services, 3, Kind::Leaving, None).await;
    assert_eq!(services.presence.members("/topic/room.a").unwrap().sessions, 0);
}

#[tokio::test]
async fn an_instance_announces_itself_and_survives_what_is_malformed() {
    let server = server();
    let announcements = &server.services.metrics.presence.announcements;
    let sent = announcements.with_label_values(&["sent"]);
    let several = async {
        while sent.get() < 3 {
            tokio::task::yield_now().await;
        }
    };
    soon(several).await;
    let received = Received {
        address: Address::Destination("/presence/announcements".to_owned()),
        content_type: None,
        body: "{".into(),
    };
    server.services.receive(received).await;
    assert_eq!(announcements.with_label_values(&["malformed"]).get(), 1);
}

#[tokio::test]
async fn what_is_no_room_has_no_presence() {
    let server = server();
    assert!(server.services.presence.members("/topic/auction.1").is_none());
    assert!(server.services.presence.members("/topic/room.").is_none());
    let off = start(|config| config.presence.enabled = false);
    for (server, name) in
        [(&server, "presence.auction.1"), (&server, "presence.room."), (&off, "presence.room.a")]
    {
        let mut client = server.stomp().await;
        client.send(&format!("SUBSCRIBE\nid:0\ndestination:/app/{name}\n\n\0")).await;
        let error = client.text().await;
        assert!(error.starts_with("ERROR\nmessage:unknown destination\n"), "{error}");
    }
    assert_eq!(off.get("/rooms/a/presence").await.0, 404);
    // Nobody can name where instances announce themselves.
    let mut client = server.stomp().await;
    client.send("SUBSCRIBE\nid:0\ndestination:/presence/announcements\n\n\0").await;
    assert!(client.text().await.starts_with("ERROR\nmessage:unknown destination\n"));
}

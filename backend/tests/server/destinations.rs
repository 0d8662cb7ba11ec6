//! What destinations mean to clients.

use std::sync::Arc;

use albeit_backend::app::{Application, Incoming, Outgoing, Receivers, Rejection, Reply};
use albeit_backend::config::{ClientPublish, Config};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use crate::harness::{Running, Ws, start_with};

/// Sends on what it gets: `/app/post` to the destination in the header `to`,
/// `/app/tell` to the user in `name`, `/app/answer` to the sender, the last two
/// under the queue in `to`.
struct Post;

impl Application for Post {
    fn handle(&self, message: Incoming) -> BoxFuture<'_, Result<Vec<Outgoing>, Rejection>> {
        let header = |wanted: &str| {
            let found = message.headers.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let to = match message.destination.as_str() {
            "post" => Receivers::Destination(header("to")),
            "tell" => Receivers::User { name: header("name"), queue: header("to") },
            "answer" => Receivers::Sender { queue: header("to") },
            _ => return ready(Err(Rejection::new("unknown destination", ""))).boxed(),
        };
        let body = message.body;
        ready(Ok(vec![Outgoing { to, content_type: "text/plain", body, kept: false }])).boxed()
    }

    fn subscribe(&self, subscription: Incoming) -> BoxFuture<'_, Result<Reply, Rejection>> {
        let headers: Vec<_> = subscription.headers.iter().map(|(name, _)| name.as_str()).collect();
        let body = format!("{} {}", subscription.destination, headers.join(",")).into();
        ready(Ok(Reply { content_type: "text/plain", body })).boxed()
    }
}

fn start(change: impl FnOnce(&mut Config)) -> Running {
    start_with(Arc::new(Post), change)
}

fn open(config: &mut Config) {
    config.stomp.client_publish_to_topic = ClientPublish::Allow;
}

/// A client that has connected, and its session.
async fn connect(server: &Running) -> (Ws, String) {
    let mut client = server.web_socket("/ws").await;
    client.send("CONNECT\naccept-version:1.2\nheart-beat:0,0\n\n\0").await;
    let connected = client.text().await;
    let session = connected.lines().find_map(|line| line.strip_prefix("session:")).unwrap();
    (client, session.to_owned())
}

async fn subscribe(client: &mut Ws, id: &str, destination: &str) {
    client.send(&format!("SUBSCRIBE\nid:{id}\ndestination:{destination}\nreceipt:{id}\n\n\0")).await;
    assert_eq!(client.text().await, format!("RECEIPT\nreceipt-id:{id}\n\n\0"));
}

/// Sends to the application, and waits until it is processed.
async fn ask(client: &mut Ws, what: &str, headers: &str, body: &str) {
    client.send(&format!("SEND\ndestination:/app/{what}\n{headers}receipt:asked\n\n{body}\0")).await;
}

/// Takes a delivery: its subscription, destination and body.
async fn delivery(client: &mut Ws) -> (String, String, String) {
    let text = client.text().await;
    let header = |name: &str| {
        let prefix = format!("{name}:");
        text.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_default().to_owned()
    };
    assert!(text.starts_with("MESSAGE\n"), "{text}");
    let body = text.split_once("\n\n").unwrap().1.trim_end_matches('\0').to_owned();
    (header("subscription"), header("destination"), body)
}

#[track_caller]
fn is(delivery: &(String, String, String), subscription: &str, destination: &str, body: &str) {
    let (s, d, b) = delivery;
    assert_eq!((s.as_str(), d.as_str(), b.as_str()), (subscription, destination, body));
}

/// Nothing came before the answer to what is sent now.
async fn nothing(client: &mut Ws) {
    client.send("UNSUBSCRIBE\nid:nothing\nreceipt:nothing\n\n\0").await;
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:nothing\n\n\0");
}

async fn receipt(client: &mut Ws) {
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:asked\n\n\0");
}

#[tokio::test]
async fn every_subscriber_of_a_queue_gets_a_copy() {
    let server = start(|_| {});
    let ((mut ann, _), (mut bob, _)) = (connect(&server).await, connect(&server).await);
    subscribe(&mut ann, "0", "/queue/work").await;
    subscribe(&mut bob, "7", "/queue/work").await;
    ask(&mut ann, "post", "to:/queue/work\n", "job").await;
    is(&delivery(&mut ann).await, "0", "/queue/work", "job");
    is(&delivery(&mut bob).await, "7", "/queue/work", "job");
}

#[tokio::test]
async fn a_subscription_to_the_application_is_answered_once() {
    let server = start(|_| {});
    let (mut client, _) = connect(&server).await;
    client.send("SUBSCRIBE\nid:0\ndestination:/app/rooms\npasscode:s\nreceipt:r\n\n\0").await;
    is(&delivery(&mut client).await, "0", "/app/rooms", "rooms id,destination,receipt");
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:r\n\n\0");
    assert!(!server.services.broker.has_subscribers("/app/rooms"));
    client.send("UNSUBSCRIBE\nid:0\nreceipt:u\n\n\0").await;
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:u\n\n\0");
}

#[tokio::test]
async fn an_answer_reaches_the_session_of_its_sender_alone() {
    let server = start(|_| {});
    let ((mut ann, _), (mut bob, _)) = (connect(&server).await, connect(&server).await);
    for client in [&mut ann, &mut bob] {
        subscribe(client, "0", "/user/queue/answers").await;
        subscribe(client, "1", "/user/topic/answers").await;
    }
    ask(&mut ann, "answer", "to:/queue/answers\n", "yes").await;
    is(&delivery(&mut ann).await, "0", "/user/queue/answers", "yes");
    receipt(&mut ann).await;
    ask(&mut ann, "answer", "to:/topic/answers\n", "no").await;
    is(&delivery(&mut ann).await, "1", "/user/topic/answers", "no");
    nothing(&mut bob).await;
    // Unsubscribed, nothing comes any more.
    receipt(&mut ann).await;
    ann.send("UNSUBSCRIBE\nid:0\n\n\0").await;
    ask(&mut ann, "answer", "to:/queue/answers\n", "yes").await;
    receipt(&mut ann).await;
}

#[tokio::test]
async fn a_session_without_a_user_is_a_user_under_its_id() {
    let server = start(open);
    let ((mut ann, _), (mut bob, bobs)) = (connect(&server).await, connect(&server).await);
    subscribe(&mut bob, "0", "/user/queue/news").await;
    ask(&mut ann, "tell", &format!("name:{bobs}\nto:/queue/news\n"), "told").await;
    receipt(&mut ann).await;
    is(&delivery(&mut bob).await, "0", "/user/queue/news", "told");
    for sender in [&mut ann, &mut bob] {
        let frame = format!("SEND\ndestination:/user/{bobs}/queue/news\nkind:note\n\nsent\0");
        sender.send(&frame).await;
    }
    is(&delivery(&mut bob).await, "0", "/user/queue/news", "sent");
    is(&delivery(&mut bob).await, "0", "/user/queue/news", "sent");
    // Nobody of that name is no fault: the user may be anywhere, or gone.
    ann.send("SEND\ndestination:/user/nobody/queue/news\nreceipt:asked\n\nx\0").await;
    receipt(&mut ann).await;
    nothing(&mut bob).await;
}

#[tokio::test]
async fn no_session_reaches_the_queues_of_another() {
    let server = start(open);
    let (mut ann, anns) = connect(&server).await;
    subscribe(&mut ann, "0", "/user/queue/secret").await;
    let (mut spy, _) = connect(&server).await;
    for (n, destination) in [
        "/queue/**".to_owned(),
        "/topic/**".to_owned(),
        "/queue/secret".to_owned(),
        "/user/queue/secret".to_owned(),
        format!("/queue/session:16:{anns}/queue/secret"),
    ]
    .iter()
    .enumerate()
    {
        subscribe(&mut spy, &n.to_string(), destination).await;
    }
    ask(&mut ann, "answer", "to:/queue/secret\n", "secret").await;
    is(&delivery(&mut ann).await, "0", "/user/queue/secret", "secret");
    nothing(&mut spy).await;
    for destination in [
        format!("/queue/secret-user{anns}"),
        format!("/user/{anns}/queue/secret"),
        format!("session:16:{anns}/queue/secret"),
        "/**".to_owned(),
        "/user/**".to_owned(),
        "/user/queue/*".to_owned(),
    ] {
        let (mut spy, _) = connect(&server).await;
        spy.send(&format!("SUBSCRIBE\nid:0\ndestination:{destination}\n\n\0")).await;
        let error = spy.text().await;
        assert!(error.starts_with("ERROR\nmessage:"), "{destination}: {error}");
        assert_eq!(spy.close_code().await, 1008);
    }
}

#[tokio::test]
async fn what_leads_nowhere_is_an_error() {
    let server = start(open);
    for (frame, message) in [
        ("SUBSCRIBE\nid:0\ndestination:/topicfoo", "unknown destination"),
        ("SUBSCRIBE\nid:0\ndestination:/user/x", "unknown destination"),
        ("SUBSCRIBE\nid:0\ndestination:/topic/{a", "malformed destination pattern"),
        ("SUBSCRIBE\nid:0\ndestination:/topic/a\nhistory:many", "malformed history header"),
        ("SUBSCRIBE\nid:0\ndestination:/topic/*\nhistory:5", "no history here"),
        ("SUBSCRIBE\nid:0\ndestination:/app/a\nhistory:5", "no history here"),
        ("SEND\ndestination:/elsewhere", "unknown destination"),
        ("SEND\ndestination:/user/ann", "unknown destination"),
        ("SEND\ndestination:/user/queue/x", "unknown destination"),
        ("SEND\ndestination:/topic/*", "destination is a pattern"),
        ("SEND\ndestination:/app/nothing", "unknown destination"),
    ] {
        let (mut client, _) = connect(&server).await;
        client.send(&format!("{frame}\n\n\0")).await;
        let error = client.text().await;
        assert!(error.starts_with(&format!("ERROR\nmessage:{message}\n")), "{frame}: {error}");
        assert_eq!(client.close_code().await, 1008, "{frame}");
    }
}

#[tokio::test]
async fn clients_publish_to_the_broker_only_where_they_may() {
    let server = start(|_| {});
    for destination in ["/topic/a", "/queue/a", "/user/ann/queue/a"] {
        let (mut client, _) = connect(&server).await;
        client.send(&format!("SEND\ndestination:{destination}\n\nx\0")).await;
        let error = client.text().await;
        assert!(error.starts_with("ERROR\nmessage:clients must not publish"), "{error}");
    }
    let server = start(open);
    let (mut client, _) = connect(&server).await;
    subscribe(&mut client, "0", "/queue/a").await;
    client.send("SEND\ndestination:/queue/a\nreceipt:asked\n\nx\0").await;
    is(&delivery(&mut client).await, "0", "/queue/a", "x");
    receipt(&mut client).await;
}

#[tokio::test]
async fn clients_never_publish_what_others_take_for_the_servers_word() {
    let server = start(open);
    for destination in ["/topic/server.events", "/topic/presence.room.a"] {
        let (mut client, _) = connect(&server).await;
        client.send(&format!("SEND\ndestination:{destination}\n\n{{}}\0")).await;
        let error = client.text().await;
        assert!(error.starts_with("ERROR\nmessage:destination is the server's\n"), "{error}");
    }
}

#[tokio::test]
async fn a_pattern_and_an_exact_subscription_both_deliver() {
    let server = start(|_| {});
    let ((mut ann, _), (mut bob, _)) = (connect(&server).await, connect(&server).await);
    subscribe(&mut ann, "pattern", "/topic/room.*").await;
    subscribe(&mut ann, "exact", "/topic/room.a").await;
    ask(&mut bob, "post", "to:/topic/room.a\n", "1").await;
    receipt(&mut bob).await;
    let mut ids = [delivery(&mut ann).await.0, delivery(&mut ann).await.0];
    ids.sort_unstable();
    assert_eq!(ids, ["exact", "pattern"]);
    // A name that only the pattern covers is shown as it is.
    ask(&mut bob, "post", "to:/topic/room.b\n", "2").await;
    is(&delivery(&mut ann).await, "pattern", "/topic/room.b", "2");
    ann.send("UNSUBSCRIBE\nid:pattern\n\n\0").await;
    nothing(&mut ann).await;
    receipt(&mut bob).await;
    ask(&mut bob, "post", "to:/topic/room.b\n", "3").await;
    receipt(&mut bob).await;
    nothing(&mut ann).await;
}

/// What the demo keeps of a room comes first, as kept; then what is live.
#[tokio::test]
async fn kept_messages_come_before_live_ones_and_none_comes_twice() {
    let server = crate::harness::start(|_| {});
    let mut sender = server.stomp().await;
    for n in 0..5 {
        sender.send(&format!("SEND\ndestination:/app/room.a\n\n<{n}>\0")).await;
    }
    ask(&mut sender, "room.a", "", "<5>").await;
    receipt(&mut sender).await;
    let mut client = server.stomp().await;
    client.send("SUBSCRIBE\nid:0\ndestination:/topic/room.a\nhistory:3\nreceipt:r\n\n\0").await;
    for n in 3..6 {
        let text = client.text().await;
        assert!(text.contains("\nhistory:true\n") && text.contains("\ntimestamp:"), "{text}");
        assert!(text.contains("\ncontent-type:application/json\n"), "{text}");
        assert!(text.contains(&format!("\"<{n}>\"")), "{n}: {text}");
    }
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:r\n\n\0");
    ask(&mut sender, "room.a", "", "<6>").await;
    let text = client.text().await;
    assert!(text.contains("\"<6>\"") && !text.contains("history:"), "{text}");
    nothing(&mut client).await;
}

/// However the subscription falls among the messages, its client gets each of
/// them, in order and once.
#[tokio::test]
async fn there_is_no_gap_between_kept_and_live_messages() {
    const MESSAGES: usize = 400;
    let server = crate::harness::start(|_| {});
    let mut sender = server.stomp().await;
    let mut clients = Vec::new();
    for n in 0..MESSAGES {
        sender.send(&format!("SEND\ndestination:/app/room.a\n\n<{n}>\0")).await;
        if n % 50 == 25 {
            let mut client = server.stomp().await;
            client.send("SUBSCRIBE\nid:0\ndestination:/topic/room.a\nhistory:1000\n\n\0").await;
            clients.push(client);
        }
    }
    for client in &mut clients {
        for n in 0..MESSAGES {
            let text = client.text().await;
            assert!(text.contains(&format!("\"<{n}>\"")), "{n}: {text}");
        }
        nothing(client).await;
    }
}

#[tokio::test]
async fn what_each_sender_sends_arrives_in_its_order_at_each_subscriber() {
    const MESSAGES: usize = 300;
    let server = start(|_| {});
    let mut receivers = Vec::new();
    for destination in ["/topic/order.a", "/topic/order.*", "/topic/**"] {
        let (mut client, _) = connect(&server).await;
        subscribe(&mut client, "0", destination).await;
        receivers.push(client);
    }
    let (mut ann, mut bob) = (server.stomp().await, server.stomp().await);
    for n in 0..MESSAGES {
        for (name, sender) in [("ann", &mut ann), ("bob", &mut bob)] {
            let frame = format!("SEND\ndestination:/app/post\nto:/topic/order.a\n\n{name} {n}\0");
            sender.send(&frame).await;
        }
    }
    for receiver in &mut receivers {
        let mut next = [0; 2];
        for _ in 0..2 * MESSAGES {
            let (_, _, body) = delivery(receiver).await;
            let (name, n) = body.split_once(' ').unwrap();
            let next = &mut next[usize::from(name == "bob")];
            assert_eq!(n, next.to_string(), "{name}");
            *next += 1;
        }
        assert_eq!(next, [MESSAGES; 2]);
    }
}

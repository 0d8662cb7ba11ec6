//! A connection while the application takes its time.

use std::sync::Arc;
use std::time::Duration;

use albeit_backend::app::{Application, Incoming, Outgoing, Receivers, Rejection};
use albeit_backend::endpoint::Content;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::harness::{soon, start_with, until};

/// Broadcasts what it is sent, as often as it is allowed to.
struct Held {
    entered: Semaphore,
    allowed: Semaphore,
}

impl Held {
    fn new() -> Arc<Self> {
        Arc::new(Self { entered: Semaphore::new(0), allowed: Semaphore::new(0) })
    }

    async fn entered(&self) {
        soon(self.entered.acquire()).await.unwrap().forget();
    }
}

impl Application for Held {
    fn handle(&self, message: Incoming) -> BoxFuture<'_, Result<Vec<Outgoing>, Rejection>> {
        async move {
            self.entered.add_permits(1);
            self.allowed.acquire().await.unwrap().forget();
            let to = Receivers::Destination("/topic/a".to_owned());
            Ok(vec![Outgoing { to, content_type: "text/plain", body: message.body, kept: false }])
        }
        .boxed()
    }
}

const SEND: &str = "SEND\ndestination:/app/a\nreceipt:s\n\nhi\0";

#[tokio::test]
async fn heart_beats_flow_on_and_silence_is_not_the_clients() {
    let held = Held::new();
    let server = start_with(held.clone(), |config| {
        config.stomp.heart_beat.send = Duration::from_millis(50);
        config.stomp.heart_beat.receive = Duration::from_millis(50);
    });
    let mut client = server.web_socket("/ws").await;
    client.send("CONNECT\naccept-version:1.2\nheart-beat:50,50\n\n\0").await;
    assert!(client.text().await.starts_with("CONNECTED\n"));
    client.send(SEND).await;
    // Longer than the server waits for a client that it reads.
    for _ in 0..10 {
        assert_eq!(client.text().await, "\n");
    }
    held.allowed.add_permits(1);
    let answer = loop {
        let text = client.text().await;
        if text != "\n" {
            break text;
        }
    };
    assert_eq!(answer, "RECEIPT\nreceipt-id:s\n\n\0");
}

#[tokio::test]
async fn a_server_that_leaves_answers_what_it_has_taken() {
    let held = Held::new();
    let drain = Duration::from_secs(4);
    let server = start_with(held.clone(), |config| config.drain = drain);
    let mut client = server.stomp().await;
    client.send(SEND).await;
    held.entered().await;
    server.shutdown.cancel();
    soon(server.services.lifecycle.closing().cancelled()).await;
    // By now every WebSocket has had its turn to leave.
    tokio::time::sleep_until(Instant::now() + server.services.jitter_window()).await;
    held.allowed.add_permits(1);
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:s\n\n\0");
    assert_eq!(client.close_code().await, 1001);
}

#[tokio::test]
async fn a_message_taken_is_published_though_its_sender_is_closed() {
    let held = Held::new();
    let server = start_with(held.clone(), |config| {
        config.stomp.send_time_limit = Duration::from_millis(300);
        config.stomp.send_buffer_size_limit = 64 << 20;
        config.websocket.close_timeout = Duration::from_millis(100);
    });
    let (mut sender, mut receiver) = (server.stomp().await, server.stomp().await);
    let subscribe = "SUBSCRIBE\nid:0\ndestination:/topic/a\nreceipt:r\n\n\0";
    receiver.send(subscribe).await;
    assert_eq!(receiver.text().await, "RECEIPT\nreceipt-id:r\n\n\0");
    sender.send("SUBSCRIBE\nid:0\ndestination:/topic/flood\n\n\0").await;
    sender.send(SEND).await;
    held.entered().await;
    // The sender reads nothing and is closed for it.
    let flood = Content::new("/topic/flood".to_owned(), Vec::new(), "x".repeat(60 * 1024).into());
    for _ in 0..400 {
        server.services.broker.publish("/topic/flood", &flood).await;
    }
    until(|| server.services.metrics.slow_consumers.with_label_values(&["time"]).get() > 0).await;
    held.allowed.add_permits(1);
    assert!(receiver.text().await.ends_with("\n\nhi\0"));
}

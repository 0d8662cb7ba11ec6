//! STOMP between clients.

use std::time::Duration;

use albeit_backend::config::ClientPublish;
use albeit_backend::endpoint::Content;
use tokio::io::AsyncWriteExt;

use crate::harness::{soon, start};

#[tokio::test]
async fn what_one_client_sends_to_a_room_another_receives() {
    let server = start(|_| {});
    let (mut ann, mut bob) = (server.stomp().await, server.stomp().await);
    for client in [&mut ann, &mut bob] {
        client.send("SUBSCRIBE\nid:0\ndestination:/topic/room.general\nreceipt:r\n\n\0").await;
        assert_eq!(client.text().await, "RECEIPT\nreceipt-id:r\n\n\0");
    }
    ann.send("SEND\ndestination:/app/room.general\n\n{\"text\":\"hi\",\"from\":\"ann\"}\0").await;
    for client in [&mut ann, &mut bob] {
        let message = client.text().await;
        let (head, body) = message.split_once("\n\n").unwrap();
        assert!(head.starts_with("MESSAGE\nsubscription:0\nmessage-id:"), "{head}");
        assert!(head.contains("\ndestination:/topic/room.general\n"), "{head}");
        assert!(head.contains("\ncontent-type:application/json\n"), "{head}");
        let body: serde_json::Value = serde_json::from_str(body.trim_end_matches('\0')).unwrap();
        assert_eq!((&body["room"], &body["from"]), (&"general".into(), &"ann".into()));
        assert_eq!((&body["text"], &body["instance"]), (&"hi".into(), &"b1".into()));
    }
    // After the unsubscribe only the receipt comes.
    bob.send("UNSUBSCRIBE\nid:0\nreceipt:u\n\n\0").await;
    assert_eq!(bob.text().await, "RECEIPT\nreceipt-id:u\n\n\0");
    ann.send("SEND\ndestination:/app/room.general\n\nagain\0").await;
    assert!(ann.text().await.contains("\"again\""));
    bob.send("DISCONNECT\nreceipt:d\n\n\0").await;
    assert_eq!(bob.text().await, "RECEIPT\nreceipt-id:d\n\n\0");
    assert_eq!(bob.close_code().await, 1000);
    assert_eq!(server.services.metrics.websocket_messages_sent.get(), 3);
}

#[tokio::test]
async fn frames_may_share_a_message_or_span_several() {
    let server = start(|_| {});
    let mut client = server.web_socket("/ws/websocket").await;
    client.send("CONNECT\naccept-version:1.1,1.2\n\n\0SUBSCRIBE\nid:a\ndesti").await;
    assert!(client.text().await.contains("\nserver:albeit-backend/"));
    client.send("nation:/topic/auction.7\n\n\0SEND\ndestination:/app/bid.7\n\n{\"amo").await;
    client.send("unt\":5,\"bidder\":\"b\"}\0\n").await;
    let message = client.text().await;
    assert!(message.contains("\"auction\":\"7\",\"bidder\":\"b\",\"amount\":5"), "{message}");
}

#[tokio::test]
async fn a_frame_has_64_kib_in_one_message_or_several() {
    let server = start(|_| {});
    let head = "SEND\ndestination:/app/room.a\nreceipt:r\n\n";
    let frame = |size: usize| format!("{head}{}\0", "x".repeat(size - head.len() - 1));
    let mut client = server.stomp().await;
    client.send(&frame(64 * 1024)).await;
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:r\n\n\0");
    // As stompjs splits large frames.
    for chunk in frame(64 * 1024).as_bytes().chunks(8 * 1024) {
        client.send(std::str::from_utf8(chunk).unwrap()).await;
    }
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:r\n\n\0");
    for chunk in frame(64 * 1024 + 1).as_bytes().chunks(8 * 1024) {
        client.send(std::str::from_utf8(chunk).unwrap()).await;
    }
    assert!(client.text().await.starts_with("ERROR\nmessage:frame exceeds 65536 bytes\n"));
    assert_eq!(client.close_code().await, 1009);
}

#[tokio::test]
async fn limits_of_headers_and_subscriptions_can_be_set() {
    let server = start(|config| {
        config.stomp.header_count_limit = 8;
        config.stomp.header_size_limit = 256;
        config.stomp.subscription_limit = 1;
    });
    let subscribe = |id| format!("SUBSCRIBE\nid:{id}\ndestination:/topic/a\n\n\0");
    for (frames, message) in [
        (format!("SEND\n{}\n\0", "a:b\n".repeat(9)), "frame has more than 8 headers"),
        (format!("SEND\na:{}\n\n\0", "b".repeat(256)), "header line exceeds 256 bytes"),
        (subscribe(0) + &subscribe(1), "too many subscriptions"),
    ] {
        let mut client = server.stomp().await;
        client.send(&frames).await;
        let error = client.text().await;
        assert!(error.starts_with(&format!("ERROR\nmessage:{message}\n")), "{error}");
        assert_eq!(client.close_code().await, 1002);
    }
}

#[tokio::test]
async fn a_thousand_messages_arrive_in_order() {
    let server = start(|_| {});
    let mut client = server.stomp().await;
    client.send("SUBSCRIBE\nid:0\ndestination:/topic/room.a\n\n\0").await;
    for n in 0..1000 {
        client.send(&format!("SEND\ndestination:/app/room.a\n\n<{n}>\0")).await;
    }
    for n in 0..1000 {
        let message = client.text().await;
        assert!(message.contains(&format!("\"<{n}>\"")), "{n}: {message}");
    }
}

#[tokio::test]
async fn faults_are_an_error_frame_and_a_close() {
    let server = start(|_| {});
    for (frame, message, code) in [
        ("SEND\ndestination:/topic/a\n\nx\0", "clients must not publish", 1008),
        ("SEND\ndestination:/app/bid.1\nreceipt:9\n\nx\0", "invalid message", 1008),
        ("SEND\ndestination:/queue/a\n\nx\0", "clients must not publish", 1008),
        ("SUBSCRIBE\nid:0\ndestination:/nowhere\n\n\0", "unknown destination", 1008),
        ("ACK\nid:1\n\n\0", "unknown message", 1008),
        ("\u{1}\u{2}\n\n\0", "unknown command", 1002),
    ] {
        let mut client = server.stomp().await;
        client.send(frame).await;
        let error = client.text().await;
        assert!(error.starts_with(&format!("ERROR\nmessage:{message}")), "{frame}: {error}");
        assert_eq!(error.contains("receipt-id:9"), frame.contains("receipt:9"));
        assert_eq!(client.close_code().await, code, "{frame}");
    }
}

#[tokio::test]
async fn a_client_may_publish_where_the_policy_allows_it() {
    let server = start(|config| config.stomp.client_publish_to_topic = ClientPublish::Allow);
    let mut client = server.stomp().await;
    client.send("SUBSCRIBE\nid:0\ndestination:/topic/a\n\n\0").await;
    client.send("SEND\ndestination:/topic/a\nreceipt:1\nkind:note\n\nhi\0").await;
    let message = client.text().await;
    assert!(message.contains("\nkind:note\n") && !message.contains("receipt"), "{message}");
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:1\n\n\0");
}

#[tokio::test]
async fn heart_beats_flow_and_a_silent_client_is_closed() {
    let server = start(|config| {
        config.stomp.heart_beat.send = Duration::from_millis(100);
        config.stomp.heart_beat.receive = Duration::from_millis(100);
    });
    let mut client = server.web_socket("/ws").await;
    client.send("CONNECT\naccept-version:1.2\nheart-beat:100,100\n\n\0").await;
    assert!(client.text().await.contains("\nheart-beat:100,100\n"));
    assert_eq!(client.text().await, "\n");
    let error = loop {
        let text = client.text().await;
        if text != "\n" {
            break text;
        }
    };
    assert!(error.starts_with("ERROR\nmessage:no heart-beat in time\n"), "{error}");
    assert_eq!(client.close_code().await, 4500);
}

#[tokio::test]
async fn a_client_without_heart_beats_gets_pings() {
    let server = start(|config| config.websocket.ping_interval = Duration::from_millis(50));
    let mut client = server.stomp().await;
    let message = soon(futures_util::StreamExt::next(&mut client.0)).await.unwrap().unwrap();
    assert!(message.is_ping());
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_and_others_are_served() {
    let server = start(|config| {
        config.stomp.message_size_limit = 16 * 1024;
        config.stomp.send_buffer_size_limit = 64 * 1024;
        config.websocket.close_timeout = Duration::from_millis(100);
    });
    let (mut slow, mut fast) = (server.stomp().await, server.stomp().await);
    for client in [&mut slow, &mut fast] {
        client.send("SUBSCRIBE\nid:0\ndestination:/topic/room.a\nreceipt:r\n\n\0").await;
        assert_eq!(client.text().await, "RECEIPT\nreceipt-id:r\n\n\0");
    }
    let text = "x".repeat(15 * 1024);
    let slow_consumers = server.services.metrics.slow_consumers.with_label_values(&["buffer"]);
    let mut sent = 0;
    while slow_consumers.get() == 0 {
        fast.send(&format!("SEND\ndestination:/app/room.a\n\n{text}\0")).await;
        assert!(fast.text().await.contains("xxx"));
        sent += 1;
        assert!(sent < 10_000, "the slow client was never closed");
    }
    assert_eq!(slow_consumers.get(), 1);
    assert!(server.services.metrics.outbox_dropped.get() > 0);
}

#[tokio::test]
async fn a_blocked_write_ends_at_the_time_limit_though_nothing_more_is_sent() {
    let server = start(|config| {
        config.stomp.send_buffer_size_limit = 64 << 20;
        config.stomp.send_time_limit = Duration::from_millis(300);
        config.websocket.close_timeout = Duration::from_millis(100);
    });
    let (mut stalled, mut sender) = (server.stomp().await, server.stomp().await);
    stalled.send("SUBSCRIBE\nid:0\ndestination:/topic/room.a\nreceipt:r\n\n\0").await;
    assert_eq!(stalled.text().await, "RECEIPT\nreceipt-id:r\n\n\0");
    // More than the buffers of the kernel take.
    let text = "x".repeat(60 * 1024);
    for _ in 0..400 {
        sender.send(&format!("SEND\ndestination:/app/room.a\nreceipt:s\n\n{text}\0")).await;
        assert_eq!(sender.text().await, "RECEIPT\nreceipt-id:s\n\n\0");
    }
    let closed = async {
        while server.services.metrics.websocket_connections_active.get() > 1 {
            tokio::task::yield_now().await;
        }
    };
    soon(closed).await;
    assert_eq!(server.services.metrics.slow_consumers.with_label_values(&["time"]).get(), 1);
    assert_eq!(server.services.metrics.slow_consumers.with_label_values(&["buffer"]).get(), 0);
}

#[tokio::test]
async fn a_client_that_pings_and_does_not_read_is_slowed_down_and_closed() {
    let server = start(|config| {
        config.stomp.send_time_limit = Duration::from_millis(300);
        config.websocket.close_timeout = Duration::from_millis(100);
    });
    let mut client = server.stomp().await;
    // 100 bytes, masked with zeros.
    let ping = [&[0x89, 0x80 | 100, 0, 0, 0, 0][..], &[b'x'; 100]].concat();
    let pings = ping.repeat(1000);
    let mut sent = 0;
    while soon(client.0.get_mut().write_all(&pings)).await.is_ok() {
        sent += pings.len();
        assert!(sent < 256 << 20, "every ping was taken and no pong was read");
    }
    assert_eq!(server.services.metrics.slow_consumers.with_label_values(&["time"]).get(), 1);
}

#[tokio::test]
async fn a_session_that_is_over_gets_no_more_messages() {
    let server = start(|config| {
        config.stomp.send_time_limit = Duration::from_secs(600);
        config.stomp.send_buffer_size_limit = 64 << 20;
    });
    let mut client = server.stomp().await;
    client.send("SUBSCRIBE\nid:0\ndestination:/topic/flood\nreceipt:r\n\n\0").await;
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:r\n\n\0");
    // More than the buffers of the kernel take: much is still to be written.
    let flood = Content::new("/topic/flood".to_owned(), Vec::new(), "x".repeat(60 * 1024).into());
    for _ in 0..400 {
        server.services.broker.publish("/topic/flood", &flood).await;
    }
    client.send("DISCONNECT\nreceipt:d\n\n\0").await;
    let unsubscribed = async {
        while server.services.broker.has_subscribers("/topic/flood") {
            tokio::task::yield_now().await;
        }
    };
    soon(unsubscribed).await;
    // What waited is still written, the receipt last.
    for _ in 0..400 {
        assert!(client.text().await.starts_with("MESSAGE\n"));
    }
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:d\n\n\0");
    assert_eq!(client.close_code().await, 1000);
}

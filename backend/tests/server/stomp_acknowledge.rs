//! Acknowledgements and transactions over sockets.

use albeit_backend::config::Acknowledgements;
use albeit_backend::endpoint::Content;

use crate::harness::{Running, Ws, soon, start};

/// Publishes numbered messages to `/topic/a`.
async fn publish(server: &Running, texts: &[&'static str]) {
    for text in texts {
        let content = Content::new("/topic/a".to_owned(), Vec::new(), (*text).into());
        server.services.publish(&content).await;
    }
}

/// A client of this version, subscribed to `/topic/a`.
async fn subscribed(server: &Running, version: &str, ack: &str) -> Ws {
    let mut client = server.web_socket("/ws").await;
    client.send(&format!("CONNECT\naccept-version:{version}\n\n\0")).await;
    assert!(client.text().await.starts_with(&format!("CONNECTED\nversion:{version}\n")));
    client.send(&format!("SUBSCRIBE\nid:s-0\ndestination:/topic/a\nack:{ack}\nreceipt:r\n\n\0")).await;
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:r\n\n\0");
    client
}

fn header<'a>(frame: &'a str, name: &str) -> Option<&'a str> {
    frame.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

fn body(frame: &str) -> &str {
    frame.split_once("\n\n").unwrap().1.trim_end_matches('\0')
}

fn outcomes(server: &Running) -> [u64; 4] {
    let acknowledgements = &server.services.metrics.stomp.acknowledgements;
    ["acknowledged", "redelivered", "discarded", "lost"]
        .map(|outcome| acknowledgements.with_label_values(&[outcome]).get())
}

#[tokio::test]
async fn messages_beyond_the_window_wait_for_acknowledgements() {
    let server = start(|config| config.stomp.ack_window = 2);
    let mut client = subscribed(&server, "1.2", "client-individual").await;
    publish(&server, &["a", "b", "c", "d"]).await;
    let (a, b) = (client.text().await, client.text().await);
    assert_eq!((body(&a), body(&b)), ("a", "b"));
    assert!(header(&a, "ack").unwrap().starts_with("s-0-"), "{a}");
    // The receipt of something else overtakes what is held back.
    client.send("UNSUBSCRIBE\nid:other\nreceipt:u\n\n\0").await;
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:u\n\n\0");
    client.send(&format!("ACK\nid:{}\nreceipt:k\n\n\0", header(&b, "ack").unwrap())).await;
    let (c, receipt) = (client.text().await, client.text().await);
    assert_eq!(body(&c), "c");
    assert_eq!(receipt, "RECEIPT\nreceipt-id:k\n\n\0");
    client.send("DISCONNECT\n\n\0").await;
    assert_eq!(client.close_code().await, 1000);
    let lost = async {
        while outcomes(&server) != [1, 0, 0, 3] {
            tokio::task::yield_now().await;
        }
    };
    soon(lost).await;
}

#[tokio::test]
async fn a_refused_message_comes_once_more() {
    let server = start(|_| {});
    let mut client = subscribed(&server, "1.2", "client-individual").await;
    publish(&server, &["a"]).await;
    let first = client.text().await;
    assert_eq!(header(&first, "redelivered"), None);
    let nack = format!("NACK\nid:{}\nreceipt:n\n\n\0", header(&first, "ack").unwrap());
    client.send(&nack).await;
    let second = client.text().await;
    assert_eq!(header(&second, "redelivered"), Some("true"));
    for name in ["ack", "message-id", "subscription", "destination"] {
        assert_eq!(header(&second, name), header(&first, name));
    }
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:n\n\n\0");
    client.send(&nack).await;
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:n\n\n\0");
    assert_eq!(outcomes(&server), [0, 1, 1, 0]);
    // Now it is unknown.
    client.send(&nack).await;
    let error = client.text().await;
    assert!(error.starts_with("ERROR\nmessage:unknown message\nreceipt-id:n\n"), "{error}");
    assert_eq!(client.close_code().await, 1008);
}

#[tokio::test]
async fn before_1_2_the_message_id_names_what_is_acknowledged() {
    let server = start(|_| {});
    for (version, reference) in [("1.0", ""), ("1.1", "subscription:s-0\n")] {
        let mut client = subscribed(&server, version, "client").await;
        publish(&server, &["a", "b"]).await;
        let (a, b) = (client.text().await, client.text().await);
        assert_eq!((header(&a, "ack"), body(&a), body(&b)), (None, "a", "b"));
        // Cumulative: the first one is settled as well.
        let ack = |frame| {
            format!("ACK\n{reference}message-id:{}\nreceipt:k\n\n\0", header(frame, "message-id").unwrap())
        };
        client.send(&ack(&b)).await;
        assert_eq!(client.text().await, "RECEIPT\nreceipt-id:k\n\n\0");
        client.send(&ack(&a)).await;
        assert!(client.text().await.starts_with("ERROR\nmessage:unknown message\nreceipt-id:k\n"));
        assert_eq!(client.close_code().await, 1008);
    }
    assert_eq!(outcomes(&server), [4, 0, 0, 0]);
}

#[tokio::test]
async fn what_is_not_acknowledged_is_unknown_and_ends_the_session() {
    let server = start(|_| {});
    for id in ["s-0-999", "s-0", "other-0", "", "s-0-", "s-0-+1"] {
        let mut client = subscribed(&server, "1.2", "client").await;
        publish(&server, &["a"]).await;
        assert_eq!(body(&client.text().await), "a");
        client.send(&format!("ACK\nid:{id}\n\n\0")).await;
        assert!(client.text().await.starts_with("ERROR\nmessage:unknown message\n"), "{id}");
        assert_eq!(client.close_code().await, 1008);
    }
    // Without acknowledgements there is nothing to name.
    let mut client = subscribed(&server, "1.1", "auto").await;
    publish(&server, &["a"]).await;
    let message = client.text().await;
    let id = header(&message, "message-id").unwrap();
    client.send(&format!("ACK\nsubscription:s-0\nmessage-id:{id}\n\n\0")).await;
    assert!(client.text().await.starts_with("ERROR\nmessage:unknown message\n"));
}

#[tokio::test]
async fn a_client_that_never_acknowledges_is_closed() {
    let server = start(|config| {
        config.stomp.message_size_limit = 1024;
        config.stomp.send_buffer_size_limit = 4096;
    });
    let mut client = subscribed(&server, "1.2", "client").await;
    let slow = server.services.metrics.slow_consumers.with_label_values(&["unacknowledged"]);
    while slow.get() == 0 {
        publish(&server, &["a message that nobody acknowledges"]).await;
        tokio::task::yield_now().await;
    }
    let code = loop {
        let message = client.message().await;
        if let Some((code, _)) = message.as_close() {
            break u16::from(code);
        }
    };
    assert_eq!(code, 4500);
    let [.., lost] = outcomes(&server);
    assert!(lost > 10, "{lost}");
}

#[tokio::test]
async fn acknowledgements_can_be_ignored_as_in_spring() {
    let server = start(|config| {
        config.stomp.acknowledgements = Acknowledgements::Ignored;
        config.stomp.ack_window = 1;
    });
    let mut client = subscribed(&server, "1.2", "client").await;
    publish(&server, &["a", "b", "c"]).await;
    for text in ["a", "b", "c"] {
        let message = client.text().await;
        assert_eq!((header(&message, "ack"), body(&message)), (None, text));
    }
    client.send("NACK\nid:undefined\nreceipt:n\n\n\0").await;
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:n\n\n\0");
}

#[tokio::test]
async fn a_transaction_takes_effect_at_its_commit() {
    let server = start(|_| {});
    let mut client = subscribed(&server, "1.2", "client-individual").await;
    publish(&server, &["a"]).await;
    let message = client.text().await;
    let id = header(&message, "ack").unwrap();
    client.send("SUBSCRIBE\nid:1\ndestination:/topic/room.x\n\n\0BEGIN\ntransaction:t\n\n\0").await;
    client.send("SEND\ndestination:/app/room.x\ntransaction:t\nreceipt:s\n\ninside\0").await;
    client.send(&format!("NACK\nid:{id}\ntransaction:t\nreceipt:n\n\n\0")).await;
    client.send("SEND\ndestination:/app/room.x\nreceipt:o\n\noutside\0").await;
    assert!(body(&client.text().await).contains("\"outside\""));
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:o\n\n\0");
    client.send("COMMIT\ntransaction:t\nreceipt:c\n\n\0").await;
    assert!(body(&client.text().await).contains("\"inside\""));
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:s\n\n\0");
    assert_eq!(header(&client.text().await, "redelivered"), Some("true"));
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:n\n\n\0");
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:c\n\n\0");
}

#[tokio::test]
async fn a_transaction_ends_with_its_session() {
    let server = start(|_| {});
    let mut listener = server.stomp().await;
    listener.send("SUBSCRIBE\nid:0\ndestination:/topic/room.x\nreceipt:r\n\n\0").await;
    assert_eq!(listener.text().await, "RECEIPT\nreceipt-id:r\n\n\0");
    let mut client = server.stomp().await;
    client.send("BEGIN\ntransaction:t\nreceipt:b\n\n\0").await;
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:b\n\n\0");
    client.send("SEND\ndestination:/app/room.x\ntransaction:t\n\nnever\0DISCONNECT\n\n\0").await;
    assert_eq!(client.close_code().await, 1000);
    let mut other = server.stomp().await;
    other.send("SEND\ndestination:/app/room.x\n\nnext\0").await;
    assert!(listener.text().await.contains("\"next\""));
}

//! STOMP on a carrier that is no WebSocket: everything for the client is
//! written in the encoding that the carrier asks for.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use albeit_backend::auth::Client;
use albeit_backend::broker::Item;
use albeit_backend::endpoint::{Carrier, Encoding, Opened, serve_stomp};
use albeit_backend::limits::Places;
use albeit_backend::ws::{CloseCode, Event, Reading};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::harness::{Running, soon, start};

/// Packs messages as SockJS does, one JSON string each, into a channel.
struct Strings {
    incoming: mpsc::Receiver<Bytes>,
    outgoing: mpsc::Sender<String>,
    heart_beats_disabled: Arc<AtomicBool>,
}

impl Carrier for Strings {
    fn encoding(&self) -> Encoding {
        Encoding::Json
    }

    fn queue(&mut self, batch: &mut Vec<Item>) {
        for item in batch.drain(..) {
            let json = [b"\"", &item.join()[..], b"\""].concat();
            let text = serde_json::from_slice(&json).expect("the inside of a JSON string");
            self.outgoing.try_send(text).expect("room");
        }
    }

    fn queue_ping(&mut self) {}

    fn is_unflushed(&self) -> bool {
        false
    }

    fn disable_heart_beats(&mut self) {
        self.heart_beats_disabled.store(true, Ordering::Relaxed);
    }

    async fn event(&mut self, reading: Reading) -> Event {
        if reading == Reading::Paused {
            return std::future::pending().await;
        }
        self.incoming.recv().await.map_or(Event::Closed(None), Event::Text)
    }

    async fn close(self, code: CloseCode, _reason: &str, _deadline: Instant) {
        self.outgoing.send(format!("close {}", code.as_u16())).await.expect("room");
    }
}

/// The client's end.
struct Peer {
    incoming: mpsc::Sender<Bytes>,
    outgoing: mpsc::Receiver<String>,
    heart_beats_disabled: Arc<AtomicBool>,
    _session: JoinSet<()>,
}

impl Peer {
    fn open(server: &Running) -> Self {
        let (to_server, incoming) = mpsc::channel(16);
        let (outgoing, from_server) = mpsc::channel(64);
        let heart_beats_disabled = Arc::new(AtomicBool::new(false));
        let carrier = Strings { incoming, outgoing, heart_beats_disabled: Arc::clone(&heart_beats_disabled) };
        let opened = Opened {
            session: "s1".into(),
            client: Arc::new(Client {
                address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                principal: None,
                places: Places::default(),
            }),
            jitter: 0.0,
        };
        let mut session = JoinSet::new();
        session.spawn(serve_stomp(carrier, Arc::clone(&server.services), opened));
        Self { incoming: to_server, outgoing: from_server, heart_beats_disabled, _session: session }
    }

    async fn send(&self, text: &str) {
        soon(self.incoming.send(Bytes::copy_from_slice(text.as_bytes()))).await.unwrap();
    }

    async fn next(&mut self) -> String {
        soon(self.outgoing.recv()).await.expect("a message")
    }
}

#[tokio::test]
async fn everything_is_written_in_the_carriers_encoding() {
    let server = start(|config| config.stomp.heart_beat.send = Duration::from_millis(50));
    let mut peer = Peer::open(&server);
    peer.send("CONNECT\naccept-version:1.1\nheart-beat:0,50\n\n\0").await;
    assert!(peer.next().await.starts_with("CONNECTED\nversion:1.1\n"));
    assert!(peer.heart_beats_disabled.load(Ordering::Relaxed));
    assert_eq!(peer.next().await, "\n");
    peer.send("SUBSCRIBE\nid:a\\c\"\ndestination:/topic/room.a\nreceipt:\"r\\\\\"\n\n\0").await;
    peer.send("SEND\ndestination:/app/room.a\n\nline \u{2028}\n\"quoted\"\0").await;
    peer.send("NONSENSE\n\n\0").await;
    let mut frames = Vec::new();
    while frames.last().is_none_or(|frame: &String| !frame.starts_with("close")) {
        let frame = peer.next().await;
        if frame != "\n" {
            frames.push(frame);
        }
    }
    assert_eq!(frames[0], "RECEIPT\nreceipt-id:\"r\\\\\"\n\n\0");
    assert!(frames[1].starts_with("MESSAGE\nsubscription:a\\c\"\nmessage-id:s1-"), "{}", frames[1]);
    assert!(frames[1].contains("\ndestination:/topic/room.a\n"), "{}", frames[1]);
    assert!(frames[1].contains("line \u{2028}\\n\\\"quoted\\\""), "{}", frames[1]);
    assert!(frames[2].starts_with("ERROR\nmessage:unknown command \"NONSENSE\"\n"), "{}", frames[2]);
    assert_eq!(frames[3], "close 1002");
}

#[tokio::test]
async fn what_is_acknowledged_is_named_in_the_carriers_encoding() {
    let server = start(|_| {});
    let mut peer = Peer::open(&server);
    peer.send("CONNECT\naccept-version:1.2\n\n\0").await;
    assert!(peer.next().await.starts_with("CONNECTED\n"));
    peer.send("SUBSCRIBE\nid:\"0\"\ndestination:/topic/room.a\nack:client\n\n\0").await;
    peer.send("SEND\ndestination:/app/room.a\n\nhi\0").await;
    let first = peer.next().await;
    let ack = first.lines().find_map(|line| line.strip_prefix("ack:")).unwrap();
    assert!(ack.starts_with("\"0\"-"), "{first}");
    peer.send(&format!("NACK\nid:{ack}\n\n\0")).await;
    assert_eq!(peer.next().await, first.replace("\ndestination", "\nredelivered:true\ndestination"));
}

#[tokio::test]
async fn the_carrier_keeps_its_heart_beats_where_the_client_wants_none() {
    let server = start(|_| {});
    let mut peer = Peer::open(&server);
    peer.send("CONNECT\naccept-version:1.2\nheart-beat:0,0\n\n\0").await;
    assert!(peer.next().await.starts_with("CONNECTED\n"));
    assert!(!peer.heart_beats_disabled.load(Ordering::Relaxed));
}

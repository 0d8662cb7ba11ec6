//! A client in a namespace, and the outbox of the session that it came by.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::app::gateway::{Event, Peer};
use crate::auth::Client;
use crate::broker::{Item, Outbox};
use crate::endpoint::clock::timestamp;
use crate::relay::Interest;
use crate::socket_io::{Body, Packet, Payload};

/// Acknowledgements that one client may owe; the oldest is forgotten above.
const ACKS_LIMIT: usize = 256;

/// A Socket.IO packet as Engine.IO messages, shared by all its receivers.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    text: Bytes,
    attachments: Vec<Bytes>,
}

impl Wire {
    /// Encodes a packet.
    pub(super) fn new(packet: &Packet) -> Self {
        let mut text = vec![b'4'];
        packet.encode(&mut text);
        let attachments = match &packet.body {
            Body::Event { payload, .. } | Body::Ack { payload, .. } => payload.attachments.clone(),
            Body::Connect(_) | Body::Disconnect | Body::ConnectError(_) => Vec::new(),
        };
        Self { text: text.into(), attachments }
    }

    /// An event, and under which id an acknowledgement is asked for.
    pub(super) fn event(namespace: &str, event: &Event, id: Option<u64>) -> Self {
        let args = std::iter::once(event.name.as_str().into()).chain(event.args.iter().cloned()).collect();
        let payload = Payload { args, attachments: event.attachments.clone() };
        Self::new(&Packet { namespace: namespace.to_owned(), body: Body::Event { id, payload } })
    }
}

/// The outbox of a session: items are Engine.IO packets in text form, or binary
/// messages.
#[derive(Debug)]
pub(super) struct SessionOutbox {
    pub(super) outbox: Outbox,
    /// Keeps the parts of a packet together.
    order: Mutex<()>,
}

impl SessionOutbox {
    pub(super) fn new(limit: usize) -> Self {
        Self { outbox: Outbox::new(limit), order: Mutex::new(()) }
    }

    /// Adds a packet; false when it was dropped, see [`Outbox::push`].
    pub(super) fn push(&self, wire: &Wire) -> bool {
        let _order = self.order.lock();
        let mut taken = self.outbox.push(Item::whole(wire.text.clone()));
        for attachment in &wire.attachments {
            let item = Item::binary(attachment.clone());
            taken = taken && self.outbox.push(item);
        }
        taken
    }

    /// Adds an Engine.IO packet.
    pub(super) fn push_packet(&self, packet: Bytes) -> bool {
        let _order = self.order.lock();
        self.outbox.push(Item::whole(packet))
    }
}

/// Acknowledgements that the client owes.
#[derive(Debug, Default)]
struct Acks {
    next: u64,
    /// Ids and tags, oldest first.
    owed: VecDeque<(u64, String)>,
}

/// A client in a namespace.
#[derive(Debug)]
pub(super) struct Member {
    /// Names it in its namespace.
    pub(super) id: Arc<str>,
    pub(super) namespace: Arc<str>,
    pub(super) client: Arc<Client>,
    outbox: Arc<SessionOutbox>,
    acks: Mutex<Acks>,
    /// With what keeps events of other instances coming, once they do.
    pub(super) rooms: Mutex<BTreeMap<String, Option<Interest>>>,
}

impl Member {
    pub(super) fn new(
        id: Arc<str>,
        namespace: &str,
        client: Arc<Client>,
        outbox: Arc<SessionOutbox>,
    ) -> Self {
        Self {
            id,
            namespace: namespace.into(),
            client,
            outbox,
            acks: Mutex::default(),
            rooms: Mutex::default(),
        }
    }

    /// As its gateway sees it.
    pub(super) fn peer(&self) -> Peer {
        let rooms: BTreeSet<String> = self.rooms.lock().keys().cloned().collect();
        Peer {
            id: Arc::clone(&self.id),
            namespace: Arc::clone(&self.namespace),
            address: self.client.address,
            principal: self.client.principal.clone(),
            rooms,
            timestamp: timestamp(),
        }
    }

    pub(super) fn push(&self, wire: &Wire) -> bool {
        self.outbox.push(wire)
    }

    /// Sends a packet of this namespace.
    pub(super) fn send(&self, body: Body) -> bool {
        self.push(&Wire::new(&Packet { namespace: self.namespace.to_string(), body }))
    }

    /// An id for an event that is to be acknowledged, not remembered.
    pub(super) fn next_ack(&self) -> u64 {
        let mut acks = self.acks.lock();
        let id = acks.next;
        acks.next += 1;
        id
    }

    /// An id for an event that is to be acknowledged; and whether an older one
    /// was forgotten for it.
    pub(super) fn owe_ack(&self, tag: String) -> (u64, bool) {
        let id = self.next_ack();
        let mut acks = self.acks.lock();
        acks.owed.push_back((id, tag));
        let forgotten = acks.owed.len() > ACKS_LIMIT && acks.owed.pop_front().is_some();
        (id, forgotten)
    }

    /// The tag of an event that the client acknowledges, if it owed that.
    pub(super) fn settle_ack(&self, id: u64) -> Option<String> {
        let mut acks = self.acks.lock();
        let at = acks.owed.iter().position(|(owed, _)| *owed == id)?;
        acks.owed.remove(at).map(|(_, tag)| tag)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::limits::Places;

    #[test]
    fn acknowledgements_are_owed_once_and_not_without_end() {
        let client =
            Client { address: IpAddr::V4(Ipv4Addr::LOCALHOST), principal: None, places: Places::default() };
        let outbox = Arc::new(SessionOutbox::new(1024));
        let member = Member::new("m".into(), "/chat", Arc::new(client), outbox);
        assert_eq!(member.owe_ack("a".to_owned()), (0, false));
        assert_eq!(member.settle_ack(0).as_deref(), Some("a"));
        assert_eq!(member.settle_ack(0), None);
        for number in 0..ACKS_LIMIT {
            assert!(!member.owe_ack(number.to_string()).1);
        }
        assert_eq!(member.owe_ack("last".to_owned()), (257, true));
        assert_eq!(member.settle_ack(1), None);
    }

    #[test]
    fn a_packet_and_its_attachments_stay_together() {
        let outbox = Arc::new(SessionOutbox::new(1 << 20));
        let mut event = Event { name: "a".to_owned(), ..Event::default() };
        let data = event.attach(Bytes::from_static(b"x"));
        event.args.push(data);
        let binary = Wire::event("/", &event, None);
        let text = Wire::event("/", &Event::new("b", 1.into()), Some(7));
        std::thread::scope(|scope| {
            for wire in [&binary, &text] {
                scope.spawn(|| (0..500).for_each(|_| assert!(outbox.push(wire))));
            }
        });
        let mut items = Vec::new();
        outbox.outbox.take(&mut items, usize::MAX, usize::MAX);
        assert_eq!(items.len(), 1500);
        for pair in items.windows(2) {
            assert_eq!(pair[0].head.starts_with(b"451-"), pair[1].kind == crate::broker::Kind::Binary);
        }
        assert!(items.iter().any(|item| item.head == r#"427["b",1]"#));
    }
}

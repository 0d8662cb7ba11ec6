//! The demo's gateway, namespace `/chat`: rooms, messages, files.
//!
//! | event | data | acknowledged with | what others get |
//! |---|---|---|---|
//! | `joinRoom` | `{"room"}` or the room's name | `{"status":"ok","room"}` | `userJoined` `{"room","user","id"}` |
//! | `leaveRoom` | likewise | likewise | `userLeft`, the same |
//! | `message` | `{"room","text","from"?}` or the text | `{"status":"ok","timestamp"}` | `message` `{"room","from","text","id","instance","timestamp"}`, the sender too |
//! | `file` | `{"room","name","data"}`, data binary | `{"status":"ok","size"}` | `file`, the same and `"from"` |
//! | `echo` | anything | all arguments | nothing |
//! | `heartbeat` | anything | `{"timestamp"}` | nothing |
//!
//! Without a room, messages and files go to everyone in the namespace. Another
//! event is refused with an `exception`.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use serde_json::{Map, Value, json};

use super::gateway::{Action, Audience, Event, Gateway, Handled, Others, Peer, Refusal};

/// Longest name of a room, in bytes.
const ROOM_LIMIT: usize = 64;

/// Rooms that one client may be in.
const ROOMS_LIMIT: usize = 64;

/// Rooms without any memory of their own.
#[derive(Debug, Clone)]
pub struct Chat {
    instance: String,
}

impl Chat {
    /// A chat that signs its messages with the instance's name.
    #[must_use]
    pub fn new(instance: impl Into<String>) -> Self {
        Self { instance: instance.into() }
    }

    fn handle(&self, peer: &Peer, event: Event) -> Result<Handled, Refusal> {
        match event.name.as_str() {
            "joinRoom" => join(peer, &event),
            "leaveRoom" => leave(peer, &event),
            "message" => self.message(peer, &event),
            "file" => file(peer, event),
            "echo" => Ok(Handled { actions: Vec::new(), ack: Some(event) }),
            "heartbeat" => Ok(Handled::ack(json!({ "timestamp": peer.timestamp }))),
            name => Err(Refusal(format!("unknown event {name}"))),
        }
    }

    fn message(&self, peer: &Peer, event: &Event) -> Result<Handled, Refusal> {
        let data = event.data();
        let text = data.get("text").unwrap_or(data).as_str();
        let text = text.ok_or_else(|| Refusal("a message needs its text".to_owned()))?;
        let room = optional_room(data)?;
        let message = json!({
            "room": room,
            "from": sender(peer, data),
            "text": text,
            "id": &*peer.id,
            "instance": self.instance,
            "timestamp": peer.timestamp,
        });
        let broadcast = Action::Broadcast {
            audience: audience(room),
            others: Others::AndSelf,
            event: Event::new("message", message),
        };
        let ack = Handled::ack(json!({ "status": "ok", "timestamp": peer.timestamp }));
        Ok(ack.after(vec![broadcast]))
    }
}

impl Gateway for Chat {
    fn event(&self, peer: Peer, event: Event) -> BoxFuture<'_, Result<Handled, Refusal>> {
        ready(self.handle(&peer, event)).boxed()
    }

    fn disconnect(&self, peer: Peer, _reason: &'static str) -> BoxFuture<'_, Vec<Action>> {
        let left = peer.rooms.iter().map(|room| tell_others("userLeft", &peer, room, &Value::Null));
        ready(left.collect()).boxed()
    }

    fn has_heartbeat(&self) -> bool {
        true
    }
}

fn join(peer: &Peer, event: &Event) -> Result<Handled, Refusal> {
    let room = required_room(event.data())?;
    if peer.rooms.len() >= ROOMS_LIMIT && !peer.rooms.contains(room) {
        return Err(Refusal(format!("no more than {ROOMS_LIMIT} rooms")));
    }
    let told = tell_others("userJoined", peer, room, event.data());
    let ack = Handled::ack(json!({ "status": "ok", "room": room }));
    Ok(ack.after(vec![Action::Join(room.to_owned()), told]))
}

fn leave(peer: &Peer, event: &Event) -> Result<Handled, Refusal> {
    let room = required_room(event.data())?;
    let ack = Handled::ack(json!({ "status": "ok", "room": room }));
    if !peer.rooms.contains(room) {
        return Ok(ack);
    }
    let told = tell_others("userLeft", peer, room, event.data());
    Ok(ack.after(vec![Action::Leave(room.to_owned()), told]))
}

fn file(peer: &Peer, mut event: Event) -> Result<Handled, Refusal> {
    let room = optional_room(event.data())?.map(str::to_owned);
    let size = event.data().get("data").and_then(|data| event.attachment(data)).map(bytes::Bytes::len);
    let size = size.ok_or_else(|| Refusal("a file needs its binary data".to_owned()))?;
    let from = sender(peer, event.data());
    if let Some(Value::Object(data)) = event.args.first_mut() {
        data.insert("from".to_owned(), from);
    }
    let ack = Handled::ack(json!({ "status": "ok", "size": size }));
    let audience = audience(room.as_deref());
    Ok(ack.after(vec![Action::Broadcast { audience, others: Others::Only, event }]))
}

fn tell_others(name: &str, peer: &Peer, room: &str, data: &Value) -> Action {
    let user = sender(peer, data);
    Action::Broadcast {
        audience: Audience::Rooms(vec![room.to_owned()]),
        others: Others::Only,
        event: Event::new(name, json!({ "room": room, "user": user, "id": &*peer.id })),
    }
}

fn audience(room: Option<&str>) -> Audience {
    room.map_or(Audience::Namespace, |room| Audience::Rooms(vec![room.to_owned()]))
}

/// The principal, or whoever the client says that it is.
fn sender(peer: &Peer, data: &Value) -> Value {
    let name = peer.principal.as_ref().map(|principal| principal.name.as_str());
    let said = || data.as_object().and_then(|data: &Map<_, _>| data.get("from")).and_then(Value::as_str);
    name.or_else(said).unwrap_or("anonymous").into()
}

fn required_room(data: &Value) -> Result<&str, Refusal> {
    let room = data.get("room").unwrap_or(data).as_str();
    checked(room.ok_or_else(|| Refusal("a room is needed".to_owned()))?)
}

fn optional_room(data: &Value) -> Result<Option<&str>, Refusal> {
    match data.get("room") {
        None | Some(Value::Null) => Ok(None),
        Some(room) => required_room(room).map(Some),
    }
}

fn checked(room: &str) -> Result<&str, Refusal> {
    if room.is_empty() || room.len() > ROOM_LIMIT {
        return Err(Refusal(format!("the name of a room has 1 to {ROOM_LIMIT} bytes")));
    }
    Ok(room)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::{IpAddr, Ipv4Addr};

    use bytes::Bytes;

    use super::*;

    fn peer() -> Peer {
        Peer {
            id: "p1".into(),
            namespace: "/chat".into(),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            principal: None,
            rooms: BTreeSet::from(["general".to_owned()]),
            timestamp: 1_700_000_000_000,
        }
    }

    fn handle(event: Event) -> Result<Handled, Refusal> {
        Chat::new("b1").handle(&peer(), event)
    }

    #[test]
    fn a_message_goes_to_its_room_and_is_acknowledged() {
        let handled = handle(Event::new("message", json!({"room": "general", "text": "hi", "from": "ann"})));
        let handled = handled.unwrap();
        let message = json!({
            "room": "general", "from": "ann", "text": "hi", "id": "p1",
            "instance": "b1", "timestamp": 1_700_000_000_000_u64,
        });
        let broadcast = Action::Broadcast {
            audience: Audience::Rooms(vec!["general".to_owned()]),
            others: Others::AndSelf,
            event: Event::new("message", message),
        };
        assert_eq!(handled.actions, [broadcast]);
        let ack = json!({"status": "ok", "timestamp": 1_700_000_000_000_u64});
        assert_eq!(handled.ack.unwrap().args, [ack]);
    }

    #[test]
    fn a_room_is_joined_and_left() {
        let joined = handle(Event::new("joinRoom", json!("news"))).unwrap();
        assert_eq!(joined.actions[0], Action::Join("news".to_owned()));
        assert_eq!(joined.ack.unwrap().args, [json!({"status": "ok", "room": "news"})]);
        let left = handle(Event::new("leaveRoom", json!({"room": "general"}))).unwrap();
        assert_eq!(left.actions[0], Action::Leave("general".to_owned()));
        assert!(handle(Event::new("leaveRoom", json!("news"))).unwrap().actions.is_empty());
    }

    #[test]
    fn a_file_keeps_its_data() {
        let mut event = Event { name: "file".to_owned(), ..Event::default() };
        let data = event.attach(Bytes::from_static(b"abc"));
        event.args.push(json!({"name": "a.txt", "data": data}));
        let handled = handle(event).unwrap();
        assert_eq!(handled.ack.unwrap().args, [json!({"status": "ok", "size": 3})]);
        let [Action::Broadcast { audience: Audience::Namespace, others: Others::Only, event }] =
            &handled.actions[..]
        else {
            panic!("{:?}", handled.actions)
        };
        assert_eq!(event.attachment(&event.data()["data"]).unwrap(), "abc");
        assert_eq!(event.data()["from"], "anonymous");
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for event in [
            Event::new("nothing", Value::Null),
            Event::new("joinRoom", json!({})),
            Event::new("joinRoom", json!("")),
            Event::new("joinRoom", json!("x".repeat(65))),
            Event::new("message", json!({"text": 1})),
            Event::new("message", json!({"text": "a", "room": 7})),
            Event::new("file", json!({"data": "text"})),
        ] {
            assert!(handle(event.clone()).is_err(), "{event:?}");
        }
    }
}

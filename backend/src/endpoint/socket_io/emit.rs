//! From an event to its audience: the clients of this instance, then the other
//! instances.
//!
//! Other instances hear of it over the relay, under the reserved destinations
//! `/socket.io/chat` and `/socket.io/chat#room`, as JSON with the attachments in
//! base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::gateway::{Audience, Event};
use crate::endpoint::Services;
use crate::relay::Address;

use super::member::Wire;

/// Before a namespace, in the destinations of the relay.
const DESTINATION: &str = "/socket.io";

/// Members served between two yields of a broadcast, so that one to thousands
/// does not hold up pings.
const YIELD_AFTER: usize = 512;

/// An event on its way to other instances.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Envelope {
    namespace: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rooms: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    except: Option<String>,
    event: String,
    args: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<String>,
}

impl Services {
    /// Sends an event to an audience on every instance, but not to the client
    /// `except`.
    ///
    /// # Cancel safety
    ///
    /// Dropped half way, some clients have the event and some have not.
    pub async fn emit(&self, namespace: &str, audience: &Audience, except: Option<&str>, event: &Event) {
        let found = self.emit_here(namespace, audience, except, event).await;
        let is_over = found && matches!(audience, Audience::Client(_));
        if is_over || !self.relay.is_shared() {
            return;
        }
        let (rooms, client, room) = match audience {
            Audience::Namespace => (None, None, None),
            Audience::Rooms(rooms) => {
                let only = if let [room] = rooms.as_slice() { Some(room.as_str()) } else { None };
                (Some(rooms.clone()), None, only)
            }
            Audience::Client(id) => (None, Some(id.clone()), None),
        };
        let envelope = Envelope {
            namespace: namespace.to_owned(),
            rooms,
            client,
            except: except.map(str::to_owned),
            event: event.name.clone(),
            args: event.args.clone(),
            attachments: event.attachments.iter().map(|data| STANDARD.encode(data)).collect(),
        };
        match serde_json::to_vec(&envelope) {
            Ok(body) => {
                let body = Bytes::from(body);
                self.relay.publish(&address(namespace, room), Some("application/json"), &body);
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "event cannot be relayed");
            }
        }
    }

    /// Sends an event to the audience of this instance; whether there is any.
    async fn emit_here(
        &self,
        namespace: &str,
        audience: &Audience,
        except: Option<&str>,
        event: &Event,
    ) -> bool {
        let members = self.socket_io.rooms.members(namespace, audience);
        if members.is_empty() {
            return false;
        }
        let wire = Wire::event(namespace, event, None);
        let (mut delivered, mut dropped) = (0, 0);
        for chunk in members.chunks(YIELD_AFTER) {
            for member in chunk.iter().filter(|member| except != Some(&*member.id)) {
                if member.push(&wire) {
                    delivered += 1;
                } else {
                    dropped += 1;
                }
            }
            if members.len() > YIELD_AFTER {
                tokio::task::yield_now().await;
            }
        }
        self.metrics.websocket_messages_sent.inc_by(delivered);
        self.metrics.outbox_dropped.inc_by(dropped);
        true
    }

    /// Delivers what another instance has emitted. False when the destination
    /// is not of Socket.IO.
    ///
    /// # Cancel safety
    ///
    /// Dropped half way, some clients have the event and some have not.
    pub(in crate::endpoint) async fn receive_emitted(&self, destination: &str, body: &Bytes) -> bool {
        if !destination.strip_prefix(DESTINATION).is_some_and(|rest| rest.starts_with('/')) {
            return false;
        }
        let Some((envelope, attachments)) = open(body) else {
            tracing::warn!(destination, bytes = body.len(), "event of another instance is malformed");
            return true;
        };
        let audience = match (envelope.rooms, envelope.client) {
            (Some(rooms), _) => Audience::Rooms(rooms),
            (None, Some(id)) => Audience::Client(id),
            (None, None) => Audience::Namespace,
        };
        let event = Event { name: envelope.event, args: envelope.args, attachments };
        self.emit_here(&envelope.namespace, &audience, envelope.except.as_deref(), &event).await;
        true
    }
}

fn open(body: &Bytes) -> Option<(Envelope, Vec<Bytes>)> {
    let envelope: Envelope = serde_json::from_slice(body).ok()?;
    let attachments = envelope.attachments.iter().map(|text| STANDARD.decode(text).ok().map(Bytes::from));
    let attachments = attachments.collect::<Option<Vec<_>>>()?;
    Some((envelope, attachments))
}

/// The relay's address of a namespace, or of a room in it.
pub(super) fn address(namespace: &str, room: Option<&str>) -> Address {
    Address::Destination(match room {
        None => format!("{DESTINATION}{namespace}"),
        Some(room) => format!("{DESTINATION}{namespace}#{room}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_holds_all_of_an_event() {
        let json = r#"{"namespace":"/chat","rooms":["a"],"except":"x","event":"file","args":[{"_placeholder":true,"num":0}],"attachments":["AQI="]}"#;
        let (envelope, attachments) = open(&Bytes::from_static(json.as_bytes())).unwrap();
        assert_eq!(attachments, [Bytes::from_static(&[1, 2])]);
        assert_eq!(serde_json::to_string(&envelope).unwrap(), json);
        assert!(open(&Bytes::from_static(b"{}")).is_none());
    }

    #[test]
    fn addresses_are_below_a_reserved_destination() {
        let destination = |room| address("/chat", room);
        assert_eq!(destination(None), Address::Destination("/socket.io/chat".to_owned()));
        assert_eq!(destination(Some("a")), Address::Destination("/socket.io/chat#a".to_owned()));
    }
}

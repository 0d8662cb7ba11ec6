//! Socket.IO: what the service does with its clients' events.
//!
//! A [`Gateway`] serves one namespace. It decides and does not act: each call
//! gets what happened and returns [`Action`]s, which the server carries out in
//! order. Calls for one client come one after the other.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use serde_json::{Map, Value, json};

use crate::auth::Principal;

/// Who a call is about.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Names the client in its namespace.
    pub id: Arc<str>,
    /// The namespace.
    pub namespace: Arc<str>,
    /// Its address, behind trusted proxies.
    pub address: IpAddr,
    /// Who it is, when it has proved it.
    pub principal: Option<Arc<Principal>>,
    /// The rooms it is in.
    pub rooms: BTreeSet<String>,
    /// When the call was made, in milliseconds since 1970.
    pub timestamp: u64,
}

/// An event: its name and its arguments.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Event {
    /// The name.
    pub name: String,
    /// The arguments. Binary data is not in them but in `attachments`; see
    /// [`attachment`](Self::attachment).
    pub args: Vec<Value>,
    /// The binary data.
    pub attachments: Vec<Bytes>,
}

impl Event {
    /// An event with one argument.
    #[must_use]
    pub fn new(name: impl Into<String>, data: Value) -> Self {
        Self { name: name.into(), args: vec![data], attachments: Vec::new() }
    }

    /// The first argument: what NestJS hands over as the body of a message.
    #[must_use]
    pub fn data(&self) -> &Value {
        self.args.first().unwrap_or(&Value::Null)
    }

    /// The binary data that a value among the arguments stands for.
    #[must_use]
    pub fn attachment(&self, value: &Value) -> Option<&Bytes> {
        let object =
            value.as_object().filter(|object| object.get("_placeholder") == Some(&Value::Bool(true)))?;
        let number = usize::try_from(object.get("num")?.as_u64()?).ok()?;
        self.attachments.get(number)
    }

    /// Adds binary data; the value that stands for it, to be put among the
    /// arguments.
    pub fn attach(&mut self, data: Bytes) -> Value {
        self.attachments.push(data);
        json!({ "_placeholder": true, "num": self.attachments.len() - 1 })
    }
}

/// Who gets an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// Every client of the namespace.
    Namespace,
    /// The clients in any of these rooms, each once.
    Rooms(Vec<String>),
    /// The client of this id.
    Client(String),
}

/// Something that the server is to do. Audiences reach all instances.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send the client an event.
    Emit(Event),
    /// Send the client an event and ask for an acknowledgement, which comes to
    /// [`Gateway::acknowledged`] with this tag.
    EmitWithAck {
        /// The event.
        event: Event,
        /// To tell the answer by.
        tag: String,
    },
    /// Send others an event.
    Broadcast {
        /// Who gets it.
        audience: Audience,
        /// Whether the client itself is left out.
        others: Others,
        /// The event.
        event: Event,
    },
    /// Put the client into a room.
    Join(String),
    /// Take it out of a room.
    Leave(String),
    /// Put it out of the namespace. Its library does not come back by itself.
    Disconnect,
}

/// Whether a broadcast of a client comes back to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// To the others only: `socket.to(room)`.
    Only,
    /// To all, itself included: `server.to(room)`.
    AndSelf,
}

/// What becomes of an event.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Handled {
    /// What to do.
    pub actions: Vec<Action>,
    /// The arguments of the acknowledgement, if the client has asked for one;
    /// the name is not sent. None: no acknowledgement at all.
    pub ack: Option<Event>,
}

impl Handled {
    /// An acknowledgement of one value, and nothing else: a handler's return
    /// value in NestJS.
    #[must_use]
    pub fn ack(value: Value) -> Self {
        Self { actions: Vec::new(), ack: Some(Event::new("", value)) }
    }

    /// With something to do before the acknowledgement.
    #[must_use]
    pub fn after(self, actions: Vec<Action>) -> Self {
        Self { actions, ..self }
    }
}

/// Why a client may not join, or its event is not handled: the `message` of a
/// `CONNECT_ERROR`, or of an `exception` event as NestJS sends it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// Serves a namespace.
pub trait Gateway: Send + Sync + 'static {
    /// A client wants to join, with the credentials that it sent. The actions
    /// are carried out once it knows that it has joined.
    fn connect(&self, peer: Peer, auth: Map<String, Value>) -> BoxFuture<'_, Result<Vec<Action>, Refusal>> {
        drop((peer, auth));
        ready(Ok(Vec::new())).boxed()
    }

    /// A client sent an event.
    fn event(&self, peer: Peer, event: Event) -> BoxFuture<'_, Result<Handled, Refusal>>;

    /// A client answered an [`Action::EmitWithAck`]; the answer has no name.
    fn acknowledged(&self, peer: Peer, tag: String, answer: Event) -> BoxFuture<'_, Vec<Action>> {
        drop((peer, tag, answer));
        ready(Vec::new()).boxed()
    }

    /// A client is gone: it left the namespace, or its connection is over.
    /// `reason` is that of `socket.io`, such as `ping timeout`. What is for the
    /// client itself goes nowhere.
    fn disconnect(&self, peer: Peer, reason: &'static str) -> BoxFuture<'_, Vec<Action>> {
        drop((peer, reason));
        ready(Vec::new()).boxed()
    }

    /// Whether the clients get `heartbeat` events and must answer them.
    fn has_heartbeat(&self) -> bool {
        false
    }
}

//! A packet: `<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]`.
//!
//! Binary data is not in the JSON: an object there,
//! `{"_placeholder":true,"num":0}`, stands for an attachment, a binary message
//! that follows. Such objects are kept as they are, beside the attachments.

use std::io::Write as _;

use bytes::Bytes;
use serde_json::{Map, Value, json};

/// The namespace that needs not be named.
pub const ROOT: &str = "/";

/// Most attachments of a packet from a client.
pub const ATTACHMENTS_LIMIT: usize = 10;

/// Events that the client's library raises by itself: nobody may send them.
const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// What an event or an acknowledgement carries.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Payload {
    /// The JSON values; of an event the first one is its name.
    pub args: Vec<Value>,
    /// What the placeholders in them stand for.
    pub attachments: Vec<Bytes>,
}

/// A packet with all its attachments.
#[derive(Debug, Clone, PartialEq)]
pub struct Packet {
    /// The namespace, `/` or `/chat`.
    pub namespace: String,
    /// The rest.
    pub body: Body,
}

/// What a packet says.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// `0`: the client wants to join, with credentials or nothing; the server
    /// lets it, with its id.
    Connect(Map<String, Value>),
    /// `1`: leaves the namespace.
    Disconnect,
    /// `2`, and `5` with attachments.
    Event {
        /// Under which an acknowledgement is wanted.
        id: Option<u64>,
        /// Name and arguments.
        payload: Payload,
    },
    /// `3`, and `6` with attachments.
    Ack {
        /// As in the event.
        id: u64,
        /// The arguments.
        payload: Payload,
    },
    /// `4`: the client may not join.
    ConnectError(Value),
}

/// Text that is no packet, or messages that do not make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A type that does not exist.
    #[error("unknown packet type")]
    Type,
    /// No number of attachments, or too many, or a placeholder without one.
    #[error("illegal attachments")]
    Attachments,
    /// An acknowledgement without an id, or an id that is no number.
    #[error("illegal ack id")]
    Id,
    /// Not JSON, or not of the shape that the type wants.
    #[error("invalid payload")]
    Payload,
    /// A binary message that no packet asked for, or text in its place.
    #[error("unexpected message")]
    Unexpected,
}

/// Reads the text of a packet; with it the number of attachments that follow.
///
/// # Errors
///
/// It is no packet.
pub fn decode(text: &str) -> Result<(Packet, usize), Malformed> {
    let mut rest = text;
    let kind = take_char(&mut rest).filter(|kind| ('0'..='6').contains(kind)).ok_or(Malformed::Type)?;
    let mut attachments = 0;
    if matches!(kind, '5' | '6') {
        let (count, after) = rest.split_once('-').ok_or(Malformed::Attachments)?;
        attachments = digits(count).ok_or(Malformed::Attachments)?;
        rest = after;
    }
    let attachments = usize::try_from(attachments).map_err(|_| Malformed::Attachments)?;
    if attachments > ATTACHMENTS_LIMIT || (attachments == 0 && matches!(kind, '5' | '6')) {
        return Err(Malformed::Attachments);
    }
    let mut namespace = ROOT;
    if rest.starts_with('/') {
        (namespace, rest) = rest.split_once(',').unwrap_or((rest, ""));
    }
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (id, json) = rest.split_at(end);
    let id = if id.is_empty() { None } else { Some(digits(id).ok_or(Malformed::Id)?) };
    let body = body(kind, id, json)?;
    Ok((Packet { namespace: namespace.to_owned(), body }, attachments))
}

fn body(kind: char, id: Option<u64>, json: &str) -> Result<Body, Malformed> {
    let data = match json {
        "" => None,
        json => Some(serde_json::from_str::<Value>(json).map_err(|_| Malformed::Payload)?),
    };
    Ok(match (kind, data) {
        ('0', None) => Body::Connect(Map::new()),
        ('0', Some(Value::Object(auth))) => Body::Connect(auth),
        ('1', None) => Body::Disconnect,
        ('2' | '5', Some(Value::Array(args))) if is_event(&args) => {
            Body::Event { id, payload: Payload { args, attachments: Vec::new() } }
        }
        ('3' | '6', Some(Value::Array(args))) => {
            let payload = Payload { args, attachments: Vec::new() };
            Body::Ack { id: id.ok_or(Malformed::Id)?, payload }
        }
        ('4', Some(error @ (Value::Object(_) | Value::String(_)))) => Body::ConnectError(error),
        _ => return Err(Malformed::Payload),
    })
}

/// Whether the array begins with the name of an event.
fn is_event(args: &[Value]) -> bool {
    match args.first() {
        Some(Value::String(name)) => !RESERVED.contains(&name.as_str()),
        Some(Value::Number(_)) => true,
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => false,
    }
}

fn take_char(rest: &mut &str) -> Option<char> {
    let mut chars = rest.chars();
    let first = chars.next();
    *rest = chars.as_str();
    first
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl Packet {
    /// Appends the text of the packet; its attachments, if any, follow as
    /// binary messages.
    pub fn encode(&self, text: &mut Vec<u8>) {
        let (kind, id, payload) = match &self.body {
            Body::Connect(_) => (b'0', None, None),
            Body::Disconnect => (b'1', None, None),
            Body::Event { id, payload } if payload.attachments.is_empty() => (b'2', *id, Some(payload)),
            Body::Event { id, payload } => (b'5', *id, Some(payload)),
            Body::Ack { id, payload } if payload.attachments.is_empty() => (b'3', Some(*id), Some(payload)),
            Body::Ack { id, payload } => (b'6', Some(*id), Some(payload)),
            Body::ConnectError(_) => (b'4', None, None),
        };
        text.push(kind);
        let attachments = payload.map_or(0, |payload| payload.attachments.len());
        // Nothing is written to a vector in vain.
        if attachments > 0 {
            write!(text, "{attachments}-").unwrap_or_default();
        }
        if self.namespace != ROOT {
            write!(text, "{},", self.namespace).unwrap_or_default();
        }
        if let Some(id) = id {
            write!(text, "{id}").unwrap_or_default();
        }
        match &self.body {
            Body::Connect(data) if data.is_empty() => {}
            Body::Connect(data) => serde_json::to_writer(text, data).unwrap_or_default(),
            Body::Disconnect => {}
            Body::Event { payload, .. } | Body::Ack { payload, .. } => {
                serde_json::to_writer(text, &payload.args).unwrap_or_default();
            }
            Body::ConnectError(error) => serde_json::to_writer(text, error).unwrap_or_default(),
        }
    }

    /// Gives the packet its attachments.
    ///
    /// # Errors
    ///
    /// A placeholder names none of them, or the packet can have none.
    pub fn attach(&mut self, attachments: Vec<Bytes>) -> Result<(), Malformed> {
        let (Body::Event { payload, .. } | Body::Ack { payload, .. }) = &mut self.body else {
            return Err(Malformed::Attachments);
        };
        if !payload.args.iter().all(|value| placeholders_are_below(value, attachments.len())) {
            return Err(Malformed::Attachments);
        }
        payload.attachments = attachments;
        Ok(())
    }
}

/// The object that stands for an attachment.
#[must_use]
pub fn placeholder(number: usize) -> Value {
    json!({ "_placeholder": true, "num": number })
}

/// The attachment that a value stands for.
#[must_use]
pub fn placeholder_number(value: &Value) -> Option<usize> {
    let object = value.as_object().filter(|object| object.get("_placeholder") == Some(&Value::Bool(true)))?;
    object.get("num").and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok())
}

/// Recursion ends where the JSON parser's did.
fn placeholders_are_below(value: &Value, count: usize) -> bool {
    match value {
        Value::Array(values) => values.iter().all(|value| placeholders_are_below(value, count)),
        Value::Object(object) if object.get("_placeholder") == Some(&Value::Bool(true)) => {
            placeholder_number(value).is_some_and(|number| number < count)
        }
        Value::Object(object) => object.values().all(|value| placeholders_are_below(value, count)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests;

//! The JSON of a message between instances: the Spring relay's `RelayMessage`
//! as Jackson writes it, with fields of our own after its six.
//!
//! `payload` is JSON text in a string. A body that is no JSON travels as a JSON
//! string of class `java.lang.String`, one that is no text in Base64 as class
//! `[B`, which is how Jackson writes a byte array. Who reads does not look at
//! the channel: a user's name may hold anything.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::RelayEnvelope;

use super::outbox::Outgoing;
use super::{Address, Received};

const STRING: &str = "java.lang.String";
const BYTES: &str = "[B";
const JSON: &str = "application/json";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    destination: &'a str,
    user_id: Option<&'a str>,
    payload: &'a str,
    payload_type: &'a str,
    timestamp: u64,
    origin_server_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
}

/// Nobody asks for the timestamp, which comes as a number, in ISO 8601 or as
/// Jackson's array.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    destination: String,
    user_id: Option<Value>,
    payload: Value,
    payload_type: Option<String>,
    origin_server_id: Option<String>,
    seq: Option<u64>,
    content_type: Option<String>,
}

/// A message that came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) received: Received,
    /// Empty where none is told.
    pub(super) origin: String,
    /// The number on its channel, told by instances of ours.
    pub(super) sequence: Option<u64>,
}

/// Writes a message of this instance.
pub(super) fn encode(message: &Outgoing, origin: &str, form: RelayEnvelope) -> Vec<u8> {
    let (destination, user_id) = match &message.address {
        Address::Destination(destination) | Address::Pattern(destination) => (destination, None),
        Address::User { name, queue } => (queue, Some(name.as_str())),
    };
    let quoted = |text: &str| Value::from(text).to_string();
    let content_type = message.content_type.as_deref();
    let made;
    let (payload, payload_type) = match std::str::from_utf8(&message.body) {
        Ok(text) if content_type.is_some_and(is_json) && is_valid(text) => (text, class(text)),
        Ok(text) => {
            made = quoted(text);
            (made.as_str(), STRING)
        }
        Err(_) => {
            made = quoted(&STANDARD.encode(&message.body));
            (made.as_str(), BYTES)
        }
    };
    let is_extended = form == RelayEnvelope::Extended;
    let written = Written {
        destination,
        user_id,
        payload,
        payload_type,
        timestamp: message.timestamp,
        origin_server_id: origin,
        seq: is_extended.then_some(message.sequence),
        content_type: content_type.filter(|_| is_extended),
    };
    // Strings and numbers cannot fail.
    serde_json::to_vec(&written).unwrap_or_default()
}

/// Reads a message; none if it is no message, or has no place to go.
pub(super) fn decode(text: &[u8]) -> Option<Envelope> {
    let read: Read = serde_json::from_slice(text).ok()?;
    // No version of STOMP can write a NUL in a header.
    let is_plain = |text: &String| !text.contains(char::is_control);
    if !read.destination.starts_with('/') || !is_plain(&read.destination) {
        return None;
    }
    let told_type = read.content_type.filter(is_plain);
    let payload = match read.payload {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let unquoted = || serde_json::from_str::<String>(&payload).ok();
    let (body, derived) = match read.payload_type.as_deref() {
        // A relay may put a String as it is.
        Some(STRING) => (unquoted().unwrap_or(payload).into_bytes(), "text/plain;charset=UTF-8"),
        Some(BYTES) => (STANDARD.decode(unquoted()?).ok()?, "application/octet-stream"),
        _ => (payload.into_bytes(), JSON),
    };
    // One of ours tells the content type, or that there is none.
    let content_type = match read.seq {
        Some(_) => told_type,
        None => Some(told_type.unwrap_or_else(|| derived.to_owned())),
    };
    let user = match read.user_id {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name),
        Some(number @ Value::Number(_)) => Some(number.to_string()),
        Some(_) => return None,
    };
    let address = match user {
        Some(name) => Address::User { name, queue: read.destination },
        None => Address::Destination(read.destination),
    };
    Some(Envelope {
        received: Received { address, content_type, body: Bytes::from(body) },
        origin: read.origin_server_id.unwrap_or_default(),
        sequence: read.seq,
    })
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case(JSON) || kind.to_ascii_lowercase().ends_with("+json")
}

fn is_valid(json: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(json).is_ok()
}

/// What Jackson makes of a value that is read as `Object`. A JSON string is left
/// to it, since `java.lang.String` stands for text that is no JSON.
fn class(json: &str) -> &'static str {
    match json.trim_ascii_start().bytes().next() {
        Some(b'{') => "java.util.LinkedHashMap",
        Some(b'[') => "java.util.ArrayList",
        Some(b'"' | b'n') => "java.lang.Object",
        Some(b't' | b'f') => "java.lang.Boolean",
        _ if json.contains(['.', 'e', 'E']) => "java.lang.Double",
        _ => "java.math.BigInteger",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outgoing(address: Address, content_type: Option<&str>, body: &[u8]) -> Outgoing {
        Outgoing {
            channel: String::new(),
            address,
            content_type: content_type.map(str::to_owned),
            body: Bytes::copy_from_slice(body),
            timestamp: 1_700_000_000_123,
            sequence: 7,
        }
    }

    fn room() -> Address {
        Address::Destination("/topic/room.general".to_owned())
    }

    fn user() -> Address {
        Address::User { name: "42".to_owned(), queue: "/queue/private".to_owned() }
    }

    #[track_caller]
    fn writes(message: &Outgoing, form: RelayEnvelope, expected: &str) {
        assert_eq!(String::from_utf8(encode(message, "b1-x", form)).unwrap(), expected);
    }

    #[test]
    fn the_golden_messages_are_written() {
        let hi = br#"{"text":"hi","n":1}"#;
        writes(
            &outgoing(room(), Some("application/json"), hi),
            RelayEnvelope::Plain,
            r#"{"destination":"/topic/room.general","userId":null,"payload":"{\"text\":\"hi\",\"n\":1}","payloadType":"java.util.LinkedHashMap","timestamp":1700000000123,"originServerId":"b1-x"}"#,
        );
        writes(
            &outgoing(user(), Some("application/json"), hi),
            RelayEnvelope::Extended,
            r#"{"destination":"/queue/private","userId":"42","payload":"{\"text\":\"hi\",\"n\":1}","payloadType":"java.util.LinkedHashMap","timestamp":1700000000123,"originServerId":"b1-x","seq":7,"contentType":"application/json"}"#,
        );
        writes(
            &outgoing(room(), Some("text/plain"), "grüß \"x\"".as_bytes()),
            RelayEnvelope::Plain,
            r#"{"destination":"/topic/room.general","userId":null,"payload":"\"grüß \\\"x\\\"\"","payloadType":"java.lang.String","timestamp":1700000000123,"originServerId":"b1-x"}"#,
        );
        writes(
            &outgoing(room(), None, &[0xff, 0]),
            RelayEnvelope::Extended,
            r#"{"destination":"/topic/room.general","userId":null,"payload":"\"/wA=\"","payloadType":"[B","timestamp":1700000000123,"originServerId":"b1-x","seq":7}"#,
        );
    }

    #[test]
    fn the_golden_messages_of_spring_are_read() {
        let json = |address, body: &'static str| Received {
            address,
            content_type: Some(JSON.to_owned()),
            body: Bytes::from(body),
        };
        for (text, received) in [
            (
                r#"{"destination":"/topic/room.general","userId":null,"payload":"{\"id\":1}","payloadType":"com.example.chat.ChatMessage","timestamp":1700000000123,"originServerId":"server-1"}"#,
                json(room(), r#"{"id":1}"#),
            ),
            (
                r#"{"originServerId":"server-1","timestamp":"2026-01-02T03:04:05.678Z","payloadType":"com.example.Note","payload":"[1]","userId":"42","destination":"/queue/private","traceId":{"a":[]}}"#,
                json(user(), "[1]"),
            ),
            (
                r#"{"destination":"/queue/private","userId":42,"payload":{"id":1},"payloadType":null,"timestamp":[2026,1,2,3,4],"originServerId":"server-1"}"#,
                json(user(), r#"{"id":1}"#),
            ),
        ] {
            let envelope = decode(text.as_bytes()).expect(text);
            assert_eq!((envelope.received, envelope.origin.as_str()), (received, "server-1"));
            assert_eq!(envelope.sequence, None);
        }
        for payload in [r#""\"hi\"""#, r#""hi""#] {
            let text = format!(
                r#"{{"destination":"/topic/a","payload":{payload},"payloadType":"java.lang.String"}}"#
            );
            let received = decode(text.as_bytes()).unwrap().received;
            assert_eq!(received.body, "hi");
            assert_eq!(received.content_type.as_deref(), Some("text/plain;charset=UTF-8"));
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for text in [
            "",
            "x",
            "{}",
            r#"{"destination":"","payload":"1"}"#,
            r#"{"destination":"topic","payload":"1"}"#,
            r#"{"destination":"/topic/a"}"#,
            r#"{"destination":"/topic/a","userId":{},"payload":"1"}"#,
            r#"{"destination":"/topic/a","payload":"\"?\"","payloadType":"[B"}"#,
            r#"{"destination":"/topic/a\u0000","payload":"1"}"#,
            r#"{"destination":"/queue/a\n","userId":"42","payload":"1"}"#,
        ] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_content_type_that_no_header_can_hold_is_none() {
        let text = r#"{"destination":"/topic/a","payload":"1","seq":1,"contentType":"a/b\u0000x"}"#;
        assert_eq!(decode(text.as_bytes()).unwrap().received.content_type, None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            body in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..40),
                "\\PC{0,40}".prop_map(String::into_bytes),
                "-?[0-9]{1,5}(\\.[0-9])?|true|null|\"[a-z]*\"|\\[1\\]".prop_map(String::into_bytes),
            ],
            content_type in proptest::option::of("application/json|application/x\\+json|text/plain|a/b"),
            user in proptest::option::of("\\PC{1,10}"),
        ) {
            let address = match user {
                Some(name) => Address::User { name, queue: "/queue/a".to_owned() },
                None => room(),
            };
            let message = outgoing(address.clone(), content_type.as_deref(), &body);
            let envelope = decode(&encode(&message, "o", RelayEnvelope::Extended)).unwrap();
            let received = Received { address, content_type, body: Bytes::from(body) };
            prop_assert_eq!(envelope, Envelope { received, origin: "o".to_owned(), sequence: Some(7) });
        }
    }
}

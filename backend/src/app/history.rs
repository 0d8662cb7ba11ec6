//! What was said, as JSON for `GET /rooms/{id}/messages`.

use serde::Serialize;
use serde_json::value::RawValue;

/// A kept message.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// Its place in the order of all.
    pub id: String,
    /// When it was published, in milliseconds since 1970.
    pub timestamp: u64,
    /// Its `content-type`.
    pub content_type: &'a str,
    /// Its body.
    pub body: &'a [u8],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    id: String,
    timestamp: u64,
    content_type: &'a str,
    #[serde(flatten)]
    payload: Payload<'a>,
}

/// A body in the plainest form that it has.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Payload<'a> {
    /// Text, or JSON as it was sent.
    #[serde(rename = "payload")]
    Json(&'a RawValue),
    #[serde(rename = "payload")]
    Text(&'a str),
    /// Bytes in base64.
    #[serde(rename = "payloadBase64")]
    Binary(String),
}

/// An array of the messages.
///
/// # Errors
///
/// Never; serialisation cannot fail.
pub fn to_json<'a>(messages: impl Iterator<Item = Message<'a>>) -> serde_json::Result<Vec<u8>> {
    let entries: Vec<_> = messages
        .map(|message| Entry {
            id: message.id,
            timestamp: message.timestamp,
            content_type: message.content_type,
            payload: payload(message.content_type, message.body),
        })
        .collect();
    serde_json::to_vec(&entries)
}

fn payload<'a>(content_type: &str, body: &'a [u8]) -> Payload<'a> {
    let Ok(text) = std::str::from_utf8(body) else {
        return Payload::Binary(base64::Engine::encode(&base64::engine::general_purpose::STANDARD, body));
    };
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let is_json = media_type.eq_ignore_ascii_case("application/json") || media_type.ends_with("+json");
    match serde_json::from_str(text) {
        Ok(json) if is_json => Payload::Json(json),
        _ => Payload::Text(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content_type: &str, body: &[u8], expected: &str) {
        let message = Message { id: "7".to_owned(), timestamp: 5, content_type, body };
        let json = String::from_utf8(to_json([message].into_iter()).unwrap()).unwrap();
        let head = format!(r#"[{{"id":"7","timestamp":5,"contentType":"{content_type}","#);
        assert_eq!(json, format!("{head}{expected}}}]"));
    }

    #[test]
    fn a_body_has_the_plainest_form_it_can() {
        check("application/json", br#"{"b":10.50,"a":1}"#, r#""payload":{"b":10.50,"a":1}"#);
        check("application/vnd.x+json; charset=utf-8", b" [1] ", r#""payload":[1]"#);
        check("application/json", b"{broken", r#""payload":"{broken""#);
        check("text/plain", b"17", r#""payload":"17""#);
        check("", b"a \"b\"\n", r#""payload":"a \"b\"\n""#);
        check("application/json", &[0xff, 0], r#""payloadBase64":"/wA=""#);
    }

    #[test]
    fn nothing_is_an_empty_array() {
        assert_eq!(to_json(std::iter::empty()).unwrap(), b"[]");
    }
}

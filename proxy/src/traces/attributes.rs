//! Attributes of spans, events and resources.

use std::{fmt::Display, time::Duration};

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};

/// Bytes of a value that are kept, so that what a client sends bounds what is queued: 1 KiB.
pub(super) const LONGEST_VALUE: usize = 1024;

/// A list of attributes; no key is given twice.
#[derive(Debug, Default)]
pub(super) struct Attributes(Vec<KeyValue>);

impl From<Attributes> for Vec<KeyValue> {
    fn from(attributes: Attributes) -> Self {
        attributes.0
    }
}

impl Attributes {
    fn push(&mut self, key: &str, value: Value) {
        let value = Some(AnyValue { value: Some(value) });
        self.0.push(KeyValue { key: key.to_owned(), value, ..KeyValue::default() });
    }

    /// Text of our own.
    pub(super) fn text(&mut self, key: &str, value: impl Display) {
        self.push(key, Value::StringValue(value.to_string()));
    }

    pub(super) fn text_if(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    /// Text of others: what is no UTF-8 becomes replacement characters, what is too long is cut.
    pub(super) fn bytes(&mut self, key: &str, value: &[u8]) {
        let kept = value.get(..LONGEST_VALUE).unwrap_or(value);
        let mut text = String::from_utf8_lossy(kept).into_owned();
        // Each byte that is no UTF-8 became three.
        text.truncate(text.floor_char_boundary(LONGEST_VALUE));
        self.push(key, Value::StringValue(text));
    }

    /// A whole number.
    pub(super) fn int(&mut self, key: &str, value: impl TryInto<i64>) {
        self.push(key, Value::IntValue(value.try_into().unwrap_or(i64::MAX)));
    }

    pub(super) fn int_if(&mut self, key: &str, value: Option<u16>) {
        if let Some(value) = value {
            self.int(key, value);
        }
    }

    pub(super) fn seconds_if(&mut self, key: &str, value: Option<Duration>) {
        if let Some(value) = value {
            self.push(key, Value::DoubleValue(value.as_secs_f64()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &[u8], expected: &str) {
        let mut attributes = Attributes::default();
        attributes.bytes("key", value);
        let [KeyValue { value: Some(AnyValue { value: Some(Value::StringValue(text)) }), .. }] =
            &attributes.0[..]
        else {
            panic!("{attributes:?}");
        };
        assert_eq!(text, expected);
    }

    #[test]
    fn text_of_others_is_cut_and_is_utf_8() {
        check(b"curl/8", "curl/8");
        check(b"a\xffb", "a\u{fffd}b");
        check(&[b'x'; 2000], &"x".repeat(LONGEST_VALUE));
        // Not in the middle of a character: 341 of 3 bytes each.
        check("€".repeat(500).as_bytes(), &"€".repeat(341));
        check(&[0xff; 2000], &"\u{fffd}".repeat(341));
    }
}

//! YAML documents as Spring sees them: dotted keys and their values, in order.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_yaml::Value;

/// A value, and the key that leads to it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Leaf {
    /// Counts from 0 through the whole file.
    pub(super) number: usize,
    /// Counts from 0.
    pub(super) document: usize,
    /// Dotted, in kebab case, however it was written.
    pub(super) key: String,
    /// A scalar, or a list.
    pub(super) value: Value,
}

/// Called with each key and value; its error is reported with their place.
type Visit<'a> = dyn FnMut(&str, Value) -> Result<(), String> + 'a;

/// All values of a file.
pub(super) fn read(text: &str) -> Result<Vec<Leaf>, String> {
    let mut leaves = Vec::new();
    for (document, yaml) in serde_yaml::Deserializer::from_str(text).enumerate() {
        let mut collect = |key: &str, value| {
            leaves.push(Leaf { number: leaves.len(), document, key: kebab_path(key), value });
            Ok(())
        };
        Node { key: String::new(), visit: &mut collect }.deserialize(yaml).map_err(|e| e.to_string())?;
    }
    Ok(leaves)
}

/// Adds line and column of the value of this number to a message.
pub(super) fn locate(text: &str, number: usize, message: String) -> String {
    let mut seen = 0;
    for yaml in serde_yaml::Deserializer::from_str(text) {
        let mut stop = |_: &str, _| {
            seen += 1;
            if seen == number + 1 { Err(String::new()) } else { Ok(()) }
        };
        let found = Node { key: String::new(), visit: &mut stop }.deserialize(yaml);
        if let Some(place) = found.err().and_then(|error| error.location()) {
            return format!("{message} at line {} column {}", place.line(), place.column());
        }
    }
    message
}

/// `maxHttpHeaderSize` and `max_http_header_size` as `max-http-header-size`.
fn kebab_path(path: &str) -> String {
    let mut kebab = String::with_capacity(path.len() + 8);
    for c in path.chars() {
        if c.is_ascii_uppercase() {
            let starts =
                kebab.chars().next_back().is_none_or(|last| matches!(last, '.' | '-') || last == '[');
            if !starts {
                kebab.push('-');
            }
            kebab.push(c.to_ascii_lowercase());
        } else if c == '_' {
            kebab.push('-');
        } else {
            kebab.push(c);
        }
    }
    kebab
}

/// What stands under a key.
struct Node<'a, 'b> {
    key: String,
    visit: &'a mut Visit<'b>,
}

impl Node<'_, '_> {
    fn leaf<E: Error>(self, value: Value) -> Result<(), E> {
        (self.visit)(&self.key, value).map_err(E::custom)
    }

    fn below(&self, key: &str) -> String {
        match (self.key.as_str(), key) {
            // YAML's merge key adds to the mapping that it stands in.
            (above, "<<") => above.to_owned(),
            ("", key) => key.to_owned(),
            (above, key) => format!("{above}.{key}"),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keys and values")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.leaf(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.leaf(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.leaf(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.leaf(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.leaf(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        // A document of comments.
        if self.key.is_empty() { Ok(()) } else { self.leaf(Value::Null) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element::<Value>()? {
            list.push(entry);
        }
        self.leaf(Value::Sequence(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(key) = entries.next_key::<Value>()? {
            let key = match &key {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Bool(value) => value.to_string(),
                _ => return Err(A::Error::custom("a key must be a text")),
            };
            entries.next_value_seed(Node { key: self.below(&key), visit: &mut *self.visit })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_same_however_they_are_written() {
        let text = "server:\n  tomcat:\n    maxHttpHeaderSize: 1\n    accept_count: 2\nserver.port: 3\n\
                    ---\nspring:\n  profiles: { active: [a, b] }\n";
        let read: Vec<_> = read(text).unwrap().into_iter().map(|l| (l.document, l.key)).collect();
        let expected = [
            (0, "server.tomcat.max-http-header-size"),
            (0, "server.tomcat.accept-count"),
            (0, "server.port"),
            (1, "spring.profiles.active"),
        ];
        assert_eq!(read, expected.map(|(document, key)| (document, key.to_owned())));
    }

    #[test]
    fn a_value_is_found_again() {
        let text = "a: 1\nb:\n  c: 2\n---\nd: 3\n";
        assert_eq!(locate(text, 1, "wrong".to_owned()), "wrong at line 3 column 6");
        assert_eq!(locate(text, 2, "wrong".to_owned()), "wrong at line 5 column 4");
    }
}

//! Text files as trees in which every value knows its place.
//!
//! One tree serves YAML, JSON, properties files and Terraform's language, so
//! that whoever looks for a setting need not know how the file is written.

pub mod hcl;
mod json;
mod properties;
mod yaml;

use std::{fmt, sync::Arc};

use thiserror::Error;

use super::setting::{Place, Setting};

pub use json::json;
pub use properties::properties;
pub use yaml::yaml;

/// How many values a file of JSON or properties may have: descriptions of whole accounts have many.
const MOST_VALUES: usize = 2_000_000;

/// A file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct SyntaxError {
    /// The file as it was named to us.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it begins; of a value in a map, where its key begins.
    pub place: Place,
}

/// What a [`Node`] holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Null,
    /// Text, a number or a truth value, as it was written.
    Scalar(Arc<str>),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file.
    Map(Vec<(Arc<str>, Node)>),
}

impl Node {
    /// The value below a key; `None` if there is none or this is no map.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().find(|(name, _)| *name == key).map(|(_, node)| node)
    }

    /// The value at the end of some keys.
    #[must_use]
    pub fn at(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The entries of a map; none of anything else.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Self)> {
        let entries: &[(Arc<str>, Self)] = if let Value::Map(entries) = &self.value { entries } else { &[] };
        entries.iter().map(|(key, node)| (key.as_ref(), node))
    }

    /// The items of a list; none of anything else.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// The text of a scalar.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        if let Value::Scalar(text) = &self.value { Some(text) } else { None }
    }

    /// The scalar as a setting called `key`.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<Setting<String>> {
        let text = self.text()?;
        Some(Setting::new(text.to_owned(), key, text, self.place.clone()))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::Null => f.write_str("null"),
            Value::Scalar(text) => f.write_str(text),
            Value::List(items) => {
                f.write_str("[")?;
                for (number, item) in items.iter().enumerate() {
                    let comma = if number == 0 { "" } else { ", " };
                    write!(f, "{comma}{item}")?;
                }
                f.write_str("]")
            }
            Value::Map(entries) => {
                f.write_str("{")?;
                for (number, (key, node)) in entries.iter().enumerate() {
                    let comma = if number == 0 { "" } else { ", " };
                    write!(f, "{comma}{key}: {node}")?;
                }
                f.write_str("}")
            }
        }
    }
}

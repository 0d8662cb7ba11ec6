//! What is wrong with a scenario file: all of it at once, each with its place.

use std::fmt;

use super::tree::{Node, Place, Value};

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where it stands.
    pub(crate) place: Place,
    /// What it is, such as `runs[2].options.rate`.
    pub(crate) path: String,
    /// What is wrong with it.
    pub(crate) message: String,
}

/// All mistakes of one file.
#[derive(Debug, thiserror::Error)]
pub(crate) struct Problems {
    /// The file.
    pub(crate) file: String,
    /// In the order in which they stand.
    pub(crate) all: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, Problem { place, path, message }) in self.all.iter().enumerate() {
            let line = if number == 0 { "" } else { "\n" };
            let colon = if path.is_empty() { "" } else { ": " };
            write!(f, "{line}{}:{}:{}: {path}{colon}{message}", self.file, place.line, place.column)?;
        }
        Ok(())
    }
}

/// Reads nodes, and notes what is wrong with them.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// What was wrong so far.
    pub(crate) problems: Vec<Problem>,
}

impl Reader {
    /// Notes a mistake.
    pub(crate) fn wrong(&mut self, place: Place, path: &str, message: impl Into<String>) {
        self.problems.push(Problem { place, path: path.to_owned(), message: message.into() });
    }

    /// The entries of a map that has no other keys than these.
    pub(crate) fn map<'a>(&mut self, node: &'a Node, path: &str, keys: &[&str]) -> Vec<(&'a str, &'a Node)> {
        let entries = self.entries(node, path);
        for (key, node) in &entries {
            if !keys.contains(key) {
                let message = format!("unknown key (have: {})", keys.join(", "));
                self.wrong(node.place, &joined(path, key), message);
            }
        }
        entries.into_iter().filter(|(key, _)| keys.contains(key)).collect()
    }

    /// The entries of a map of any keys.
    pub(crate) fn entries<'a>(&mut self, node: &'a Node, path: &str) -> Vec<(&'a str, &'a Node)> {
        match &node.value {
            Value::Map(entries) => entries.iter().map(|(key, node)| (key.as_str(), node)).collect(),
            Value::Null => Vec::new(),
            Value::Scalar(_) | Value::List(_) => {
                self.wrong(node.place, path, "here stands a map, `key: value`");
                Vec::new()
            }
        }
    }

    /// The items of a list.
    pub(crate) fn list<'a>(&mut self, node: &'a Node, path: &str) -> &'a [Node] {
        match &node.value {
            Value::List(items) => items,
            Value::Null | Value::Scalar(_) | Value::Map(_) => {
                self.wrong(node.place, path, "here stands a list");
                &[]
            }
        }
    }

    /// One text.
    pub(crate) fn text<'a>(&mut self, node: &'a Node, path: &str) -> Option<&'a str> {
        if let Value::Scalar(text) = &node.value {
            return Some(text);
        }
        self.wrong(node.place, path, "here stands one value");
        None
    }
}

/// A path and one more step.
pub(crate) fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

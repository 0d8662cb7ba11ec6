//! The configuration files of an application: keys and values before anybody has understood them.

use std::{path::PathBuf, sync::Arc};

use super::{
    document::{Node, Value},
    setting::Setting,
};

/// What the configuration files of one application say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// What the files have in common by which they are of one application: their path without profile and ending.
    pub family: PathBuf,
    /// Their documents, the one that counts most last.
    pub documents: Vec<Document>,
}

/// A document of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// When it holds.
    pub holds: Holds,
    /// Keys as they are written, from the root and dotted, with the index of lists in brackets; and their values.
    pub properties: Vec<(Arc<str>, Setting<String>)>,
}

/// When a document holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holds {
    /// Always.
    Always,
    /// With profiles by this expression (`spring.config.activate.on-profile`).
    OnProfile(String),
    /// With this profile, or when nobody says which profiles are active (`application-PROFILE.yml`).
    WithProfile(String),
}

/// The values of a tree, each with the keys that lead to it; nothing of those that are null.
#[must_use]
pub fn flatten(tree: &Node) -> Vec<(Arc<str>, Setting<String>)> {
    let mut properties = Vec::new();
    add(tree, String::new(), &mut properties);
    properties
}

fn add(node: &Node, key: String, properties: &mut Vec<(Arc<str>, Setting<String>)>) {
    match &node.value {
        Value::Null => {}
        Value::Scalar(text) => {
            let setting = Setting::new(text.as_ref().to_owned(), &key, text, node.place.clone());
            properties.push((key.into(), setting));
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                add(item, format!("{key}[{index}]"), properties);
            }
        }
        Value::Map(entries) => {
            for (name, node) in entries {
                let dot = if key.is_empty() { "" } else { "." };
                add(node, format!("{key}{dot}{name}"), properties);
            }
        }
    }
}

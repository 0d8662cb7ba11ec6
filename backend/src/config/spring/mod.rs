//! Spring Boot's `application.yml`, for the settings that it shares with this
//! server.
//!
//! Keys may be written in any of Spring's ways (`keep-alive-timeout`,
//! `keepAliveTimeout`, dotted in one line), values may have placeholders, and
//! documents may be for profiles. Each value is checked by the type that it is
//! for, where it stands in the file. Keys of Spring or of an application that
//! mean nothing here are listed; an unknown one in a section of ours is an
//! error.

mod document;
mod keys;
mod placeholder;
mod profile;
mod values;

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use serde_yaml::{Mapping, Value};

use super::{Config, ConfigError, Loaded};

use document::Leaf;
use keys::Meaning;

/// Whether a file is Spring's: by its name, or because it has a key `spring`.
pub(super) fn is_spring(text: &str, file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let is_named = name.starts_with("application") && (name.ends_with(".yml") || name.ends_with(".yaml"));
    is_named || text.lines().any(|line| line.starts_with("spring:") || line.starts_with("spring."))
}

/// Reads the documents whose profiles are active. `variable` is the
/// environment.
///
/// # Errors
///
/// The first value that is malformed, or key that is unknown, with its place.
pub(super) fn parse(
    text: &str,
    file: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, ConfigError> {
    let malformed = |key: &str, message: String| ConfigError::Malformed {
        file: file.to_owned(),
        key: key.to_owned(),
        message,
    };
    let leaves = document::read(text).map_err(|error| malformed("YAML", error))?;
    let leaves = profile::active(leaves, variable);
    let mut reader = Reader { leaves: &leaves, variable, tree: Mapping::new(), ignored: BTreeSet::new() };
    for leaf in &leaves {
        reader
            .take(leaf)
            .map_err(|message| malformed(&leaf.key, document::locate(text, leaf.number, message)))?;
    }
    reader.finish().map_err(|message| malformed("spring", message))
}

struct Reader<'a> {
    leaves: &'a [Leaf],
    variable: &'a dyn Fn(&str) -> Option<String>,
    /// The settings as a file of ours would have them.
    tree: Mapping,
    ignored: BTreeSet<String>,
}

impl Reader<'_> {
    /// Takes one value over.
    fn take(&mut self, leaf: &Leaf) -> Result<(), String> {
        let (path, kind) = match keys::meaning(&leaf.key) {
            Meaning::Setting(path, kind) => (path, kind),
            Meaning::Ignored => {
                self.ignored.insert(leaf.key.clone());
                return Ok(());
            }
            Meaning::Refused(reason) => return Err(reason.to_owned()),
        };
        let value = placeholder::resolve_all(&leaf.value, self.leaves, self.variable)?;
        if value.is_null() {
            return Ok(());
        }
        let settings = values::convert(kind, &path, value)?;
        if settings.is_empty() {
            self.ignored.insert(leaf.key.clone());
        }
        for (path, candidates) in settings {
            let value = fitting(&path, candidates)?;
            insert(&mut self.tree, &path, value);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Loaded, String> {
        let of_redis = |leaf: &Leaf| keys::names_redis(&leaf.key);
        if self.leaves.iter().any(of_redis) && lookup(&self.tree, &["relay", "mode"]).is_none() {
            insert(&mut self.tree, "relay.mode", Value::from("redis"));
        }
        self.idle_as_tomcat();
        let config = Config::deserialize(Value::Mapping(self.tree)).map_err(|error| error.to_string())?;
        Ok(Loaded { config, ignored: self.ignored.into_iter().collect() })
    }

    /// Tomcat's `keepAliveTimeout` is the `connectionTimeout` where it is not set; our default would hide the
    /// 502 that such a file leads to.
    fn idle_as_tomcat(&mut self) {
        let tomcat = |key| ["server", "tomcat", key];
        if lookup(&self.tree, &tomcat("keep-alive-timeout")).is_none()
            && let Some(timeout) = lookup(&self.tree, &tomcat("connection-timeout")).cloned()
        {
            insert(&mut self.tree, "server.tomcat.keep-alive-timeout", timeout);
        }
    }
}

/// The first of the values that the setting's type takes; the first one's error
/// when it takes none.
fn fitting(path: &str, candidates: Vec<Value>) -> Result<Value, String> {
    let mut first_error = None;
    for value in candidates {
        let mut alone = Mapping::new();
        insert(&mut alone, path, value.clone());
        match Config::deserialize(Value::Mapping(alone)) {
            Ok(_) => return Ok(value),
            Err(error) => {
                first_error.get_or_insert_with(|| error.to_string());
            }
        }
    }
    Err(first_error.unwrap_or_default())
}

fn insert(tree: &mut Mapping, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            tree.insert(Value::from(path), value);
        }
        Some((first, rest)) => {
            let below = tree.entry(Value::from(first)).or_insert_with(|| Value::Mapping(Mapping::new()));
            if !below.is_mapping() {
                *below = Value::Mapping(Mapping::new());
            }
            if let Value::Mapping(below) = below {
                insert(below, rest, value);
            }
        }
    }
}

fn lookup<'a>(tree: &'a Mapping, path: &[&str]) -> Option<&'a Value> {
    let (last, above) = path.split_last()?;
    let mut tree = tree;
    for key in above {
        tree = tree.get(key)?.as_mapping()?;
    }
    tree.get(last)
}

#[cfg(test)]
mod tests;

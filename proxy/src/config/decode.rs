//! From the tree of values to the raw structs, reporting every mismatch.
//!
//! Deserialisation stops at the first error; so the value at fault is taken
//! out of the tree and the rest is tried again.

use serde_json::Value;
use serde_path_to_error::{Path as SerdePath, Segment};

use super::{error::Report, path::Path, raw::RawConfig};

/// After so many mistakes the rest is not looked at.
const MOST_MISTAKES: usize = 100;

/// Decodes the whole file. `None` if nothing of it can be used.
pub(super) fn decode(mut tree: Value, report: &mut Report) -> Option<RawConfig> {
    for _ in 0..MOST_MISTAKES {
        let error = match serde_path_to_error::deserialize::<_, Option<RawConfig>>(&tree) {
            Ok(raw) => return raw,
            Err(error) => error,
        };
        let message = error.inner().to_string();
        let unknown_key = message.starts_with("unknown field");
        report.mistake(&path(error.path()), in_our_words(&message));
        if !prune(&mut tree, error.path(), unknown_key) {
            return None;
        }
    }
    report.mistake(&Path::root(), format!("more than {MOST_MISTAKES} mistakes; the rest is not shown"));
    None
}

/// Serde's messages in the words of people who write YAML.
fn in_our_words(message: &str) -> String {
    if let Some(rest) = message.strip_prefix("unknown field") {
        return format!("unknown key{}", rest.replace('`', "\""));
    }
    let message = match message.rsplit_once("expected struct ") {
        Some((start, _)) => format!("{start}expected a map"),
        None => message.replace("expected a sequence", "expected a list"),
    };
    message.replacen("invalid type: map,", "invalid type: a map,", 1).replacen(
        "invalid type: sequence,",
        "invalid type: a list,",
        1,
    )
}

fn path(path: &SerdePath) -> Path {
    path.iter().fold(Path::root(), |at, segment| match segment {
        Segment::Seq { index } => at.index(*index),
        Segment::Map { key } => at.key(key),
        Segment::Enum { .. } | Segment::Unknown => at,
    })
}

/// Takes the value at `path` out of the tree: an unknown key with its value, anything else by emptying it,
/// so that the indexes of lists stay. False if there is nothing to take out.
fn prune(tree: &mut Value, path: &SerdePath, unknown_key: bool) -> bool {
    let mut segments: Vec<_> = path.iter().collect();
    let last_key = match segments.last() {
        Some(Segment::Map { key }) if unknown_key => Some(key.clone()),
        _ => None,
    };
    if last_key.is_some() {
        segments.pop();
    }
    let mut node = tree;
    for segment in segments {
        let child = match segment {
            Segment::Seq { index } => node.get_mut(*index),
            Segment::Map { key } => node.get_mut(key),
            Segment::Enum { .. } | Segment::Unknown => return false,
        };
        let Some(child) = child else { return false };
        node = child;
    }
    if let Some(key) = last_key {
        return node.as_object_mut().is_some_and(|map| map.remove(&key).is_some());
    }
    !node.take().is_null()
}

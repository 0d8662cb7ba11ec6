//! Findings for people and for machines: one file for each format.

mod json;
mod measured;
mod sarif;
mod text;

#[cfg(test)]
mod tests;

use serde_json::Value;

use super::examination::Examination;

pub use self::{
    json::json,
    sarif::sarif,
    text::{text, visible},
};

/// An object with one member more.
fn with(mut object: Value, key: &str, member: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.insert(key.to_owned(), member);
    }
    object
}

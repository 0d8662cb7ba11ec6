//! The path of a setting in the file: `load_balancers[0].listeners[1].port`.

use std::{fmt, iter};

/// A path; cheap enough to build for each setting, since a file is read once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Path {
    text: String,
    /// Lengths of the parents' texts, outermost first.
    parents: Vec<usize>,
}

impl Path {
    /// The whole file.
    pub(super) fn root() -> Self {
        Self::default()
    }

    /// The entry `key` of the map at this path.
    pub(super) fn key(&self, key: &str) -> Self {
        let dot = if self.text.is_empty() { "" } else { "." };
        self.child(&format!("{dot}{key}"))
    }

    /// The element `index` of the list at this path.
    pub(super) fn index(&self, index: usize) -> Self {
        self.child(&format!("[{index}]"))
    }

    /// How many steps the path has.
    pub(super) fn depth(&self) -> usize {
        self.parents.len()
    }

    /// This path and its parents as text, innermost first.
    pub(super) fn and_parents(&self) -> impl Iterator<Item = &str> {
        iter::once(self.text.as_str())
            .chain(self.parents.iter().rev().filter_map(|&length| self.text.get(..length)))
    }

    fn child(&self, step: &str) -> Self {
        let mut parents = self.parents.clone();
        parents.push(self.text.len());
        Self { text: format!("{}{step}", self.text), parents }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

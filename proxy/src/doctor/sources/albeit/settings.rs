//! Values of a configuration as settings with their places.

use std::{fmt::Display, sync::Arc};

use crate::{
    config::Loaded,
    doctor::{
        attributes::Attributes,
        document::Node,
        setting::{Place, Setting},
    },
    model::attributes::AttributeValues,
};

/// A configuration that is converted.
pub(super) struct Settings<'a> {
    /// What the file means.
    pub(super) loaded: &'a Loaded,
    /// The file as it was named to us.
    pub(super) file: &'a Arc<str>,
    /// The file as it was written, for what the model does not keep.
    pub(super) tree: &'a Node,
}

impl Settings<'_> {
    /// A value that stands in the file, below the path `at`.
    pub(super) fn written<T: Display>(&self, value: T, at: &str, key: &str) -> Setting<T> {
        let written = value.to_string();
        Setting::new(value, key, &written, self.place(&format!("{at}.{key}")))
    }

    /// A value that stands in the file, or else is the default of `whose`.
    pub(super) fn or_default<T: Display>(&self, value: T, at: &str, key: &str, whose: &str) -> Setting<T> {
        if self.is_written(&format!("{at}.{key}")) {
            return self.written(value, at, key);
        }
        let written = value.to_string();
        Setting::default_of(whose, value, key, &written)
    }

    /// Whether the file has the setting.
    pub(super) fn is_written(&self, path: &str) -> bool {
        self.loaded.places.position(path).is_some()
    }

    /// Where a path stands, or else what it is in.
    pub(super) fn place(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some(at) = self.loaded.places.position(path) {
                return Place::File { file: Arc::clone(self.file), line: at.line, column: at.column };
            }
            let Some((parent, _)) = path.rsplit_once(['.', '[']) else {
                return Place::File { file: Arc::clone(self.file), line: 1, column: 1 };
            };
            path = parent;
        }
    }

    /// Notes the attributes of the resource at the path `at`.
    pub(super) fn give(&self, attributes: &mut Attributes, given: Option<&AttributeValues>, at: &str) {
        for (key, value) in given.into_iter().flat_map(AttributeValues::all_given) {
            let place = self.place(&format!("{at}.attributes.{key}"));
            attributes.give(key, Setting::new(value.to_owned(), key, value, place));
        }
    }

    /// The rules of a listener as they were written, which the model sorts.
    pub(super) fn rules_of(&self, load_balancer: usize, listener: usize) -> &[Node] {
        let balancers = self.tree.get("load_balancers").map_or(&[][..], Node::items);
        let listeners =
            balancers.get(load_balancer).and_then(|it| it.get("listeners")).map_or(&[][..], Node::items);
        listeners.get(listener).and_then(|it| it.get("rules")).map_or(&[], Node::items)
    }
}

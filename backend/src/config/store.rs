//! `store.*`.

use std::time::Duration;

use serde::Deserialize;

/// The message store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct StoreConfig {}

impl StoreConfig {
    /// What the types cannot say, one line each.
    pub(super) fn problems(&self) -> Vec<String> {
        let Self {} = self;
        Vec::new()
    }

    /// Every timer, to be scaled.
    pub(super) fn timers(&mut self) -> Vec<&mut Duration> {
        let Self {} = self;
        Vec::new()
    }
}

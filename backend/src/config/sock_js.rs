//! `sockjs.*`.

use std::time::Duration;

use serde::Deserialize;

/// SockJS, under the names of Spring's `SockJsServiceRegistration`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SockJsConfig {
    /// Path of the STOMP endpoint, with and without SockJS. Default `/ws`.
    pub path: String,
}

impl Default for SockJsConfig {
    fn default() -> Self {
        Self { path: "/ws".to_owned() }
    }
}

impl SockJsConfig {
    /// What the types cannot say, one line each.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !is_path(&self.path) {
            problems.push("sockjs.path: must be like /ws or /app/ws, without a slash at its end".to_owned());
        }
        problems
    }

    /// Every timer, to be scaled.
    pub(super) fn timers(&mut self) -> Vec<&mut Duration> {
        let Self { path: _ } = self;
        Vec::new()
    }
}

/// Whether each segment has characters that a URL needs no escape for.
fn is_path(path: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    path.strip_prefix('/').is_some_and(|segments| {
        segments.split('/').all(|segment| !segment.is_empty() && segment.chars().all(plain))
    })
}

//! The demo page and its one library, embedded.

/// The page at `/`.
pub const INDEX: &str = include_str!("../../assets/index.html");

/// `@stomp/stompjs` 7.5.0, its UMD bundle as published on npm (Apache-2.0).
pub const STOMP_JS: &str = include_str!("../../assets/stomp.umd.min.js");

/// The licence of [`STOMP_JS`].
pub const STOMP_JS_LICENSE: &str = include_str!("../../assets/stomp.umd.min.js.LICENSE");

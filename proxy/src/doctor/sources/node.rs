//! Node.js: what its `http.Server` does unless told otherwise.
//!
//! Node.js, "HTTP: server.keepAliveTimeout, --max-http-header-size". What a
//! program sets in its code is not to be seen here, but for the variables that
//! it takes it from.

use std::time::Duration;

use super::{
    command, fill,
    units::{Unit, spring_duration},
    web_socket::{self, words},
};
use crate::doctor::{
    setting::Setting,
    system::{Application, Runtime},
};

const NODE: &str = "Node.js";
/// `server.keepAliveTimeout`.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// `--max-http-header-size`.
const MAX_HTTP_HEADER_SIZE: u64 = 16 * 1024;

/// Fills in what variables and command line of a Node.js program say, and Node's defaults.
pub(super) fn interpret(application: &mut Application) {
    application.runtime = Runtime::Node;
    let variable = |name: &str| application.environment.get(name).cloned();
    let port = variable("PORT").and_then(|it| it.filter_map(|text| text.parse().ok()));
    let keep_alive = application
        .environment
        .values()
        .filter(|it| is_keep_alive(&it.key))
        .find_map(|it| it.clone().filter_map(|text| spring_duration(&text, Unit::Guessed)));
    let keep_alive = keep_alive
        .unwrap_or_else(|| Setting::default_of(NODE, KEEP_ALIVE_TIMEOUT, "server.keepAliveTimeout", "5000"));
    let options: Vec<_> =
        variable("NODE_OPTIONS").into_iter().chain(application.command.iter().cloned()).collect();
    let flag = "--max-http-header-size";
    let size = match command::flag(&options, &[flag]) {
        Some(given) => given.filter_map(|text| text.parse().ok()),
        None => Some(Setting::default_of(NODE, MAX_HTTP_HEADER_SIZE, flag, "16384")),
    };
    let requests = Setting::default_of(NODE, None, "server.maxRequestsPerSocket", "0");
    fill(&mut application.port, port);
    fill(&mut application.keep_alive_timeout, Some(keep_alive));
    fill(&mut application.max_request_header_size, size);
    fill(&mut application.max_keep_alive_requests, Some(requests));
    web_socket::interpret(application, &[]);
}

/// `KEEP_ALIVE_TIMEOUT`, `HTTP_KEEPALIVE_TIMEOUT_MS`, …
fn is_keep_alive(name: &str) -> bool {
    let words = words(name);
    let has = |word: &str| words.iter().any(|known| known == word);
    has("timeout") && (has("keepalive") || (has("keep") && has("alive")))
}

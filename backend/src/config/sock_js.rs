//! `sockjs.*`.

use std::time::Duration;

use serde::Deserialize;

use super::units;

/// SockJS, under the names of Spring's `SockJsServiceRegistration`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SockJsConfig {
    /// Path of the STOMP endpoint, with and without SockJS. Default `/ws`.
    pub path: String,
    /// Whether clients may use WebSockets; without, their addresses are not
    /// found. Default true.
    pub web_socket_enabled: bool,
    /// Whether clients are told to use transports that send cookies, and get a
    /// `JSESSIONID` that a balancer may bind them by. Default true.
    pub session_cookie_needed: bool,
    /// Where the page for frames of other origins loads the client from.
    /// Default, Spring's: `https://cdn.jsdelivr.net/npm/sockjs-client@1/dist/sockjs.min.js`.
    pub client_library_url: String,
    /// How long nothing may be sent before a heart-beat is, unless STOMP has
    /// its own. Default `25s`.
    #[serde(deserialize_with = "units::duration")]
    pub heartbeat_time: Duration,
    /// How long a session lives while no request of its client waits for
    /// messages, and how long it answers that it is closed. Default `30s`
    /// (Spring's is 5 s).
    #[serde(deserialize_with = "units::duration")]
    pub disconnect_delay: Duration,
    /// Bytes after which a streaming response ends, for the client to ask for
    /// another one. Default `512KiB` (Spring's is 128 KiB).
    #[serde(deserialize_with = "units::size")]
    pub stream_bytes_limit: usize,
    /// Messages that may wait for a client's next request; above, the session
    /// is closed with 4500. Default 1000 (Spring's is 100).
    pub http_message_cache_size: usize,
    /// The same in bytes; Spring has no such limit. Default `4MiB`.
    #[serde(deserialize_with = "units::size")]
    pub http_message_cache_bytes: usize,
}

impl Default for SockJsConfig {
    fn default() -> Self {
        Self {
            path: "/ws".to_owned(),
            web_socket_enabled: true,
            session_cookie_needed: true,
            client_library_url: "https://cdn.jsdelivr.net/npm/sockjs-client@1/dist/sockjs.min.js".to_owned(),
            heartbeat_time: Duration::from_secs(25),
            disconnect_delay: Duration::from_secs(30),
            stream_bytes_limit: 512 * 1024,
            http_message_cache_size: 1000,
            http_message_cache_bytes: 4 * 1024 * 1024,
        }
    }
}

impl SockJsConfig {
    /// What the types cannot say, one line each.
    pub(super) fn problems(&self) -> Vec<String> {
        [
            (is_path(&self.path), "path: must be like /ws or /app/ws, without a slash at its end"),
            (!self.heartbeat_time.is_zero(), "heartbeat-time: must be above zero"),
            (!self.disconnect_delay.is_zero(), "disconnect-delay: must be above zero"),
            (self.stream_bytes_limit > 0, "stream-bytes-limit: must be above zero"),
            (self.http_message_cache_size > 0, "http-message-cache-size: must be above zero"),
            (self.http_message_cache_bytes > 0, "http-message-cache-bytes: must be above zero"),
        ]
        .into_iter()
        .filter(|(holds, _)| !holds)
        .map(|(_, problem)| format!("sockjs.{problem}"))
        .collect()
    }

    /// Every timer, to be scaled.
    pub(super) fn timers(&mut self) -> Vec<&mut Duration> {
        vec![&mut self.heartbeat_time, &mut self.disconnect_delay]
    }
}

/// Whether each segment has characters that a URL needs no escape for.
fn is_path(path: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    path.strip_prefix('/').is_some_and(|segments| {
        segments.split('/').all(|segment| !segment.is_empty() && segment.chars().all(plain))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_named() {
        let config = SockJsConfig {
            path: "ws/".to_owned(),
            heartbeat_time: Duration::ZERO,
            http_message_cache_size: 0,
            ..SockJsConfig::default()
        };
        assert_eq!(
            config.problems(),
            [
                "sockjs.path: must be like /ws or /app/ws, without a slash at its end",
                "sockjs.heartbeat-time: must be above zero",
                "sockjs.http-message-cache-size: must be above zero",
            ]
        );
        for path in ["/", "/a//b", "/a/", "/a b", "/a?b"] {
            let config = SockJsConfig { path: path.to_owned(), ..SockJsConfig::default() };
            assert_eq!(config.problems().len(), 1, "{path}");
        }
    }
}

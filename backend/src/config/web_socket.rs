//! WebSockets of every kind: `websocket.*`.

use std::time::Duration;

use serde::Deserialize;

use super::units;

/// WebSocket limits.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct WebSocketConfig {
    /// Origins besides the server's own that may open a session:
    /// `https://app.example.com`, all hosts below a domain
    /// (`https://*.example.com`), any port (`http://localhost:*`); in
    /// development `*`. Default none.
    pub allowed_origins: Vec<String>,
    /// A STOMP client that wants no heart-beats, or rarer ones, gets a ping this
    /// often, so that a balancer with a 60 s idle timeout keeps the connection.
    /// Default `25s`.
    #[serde(deserialize_with = "units::duration")]
    pub ping_interval: Duration,
    /// How long a closing handshake may take. Default `5s`.
    #[serde(deserialize_with = "units::duration")]
    pub close_timeout: Duration,
    /// Largest message of `/echo` in bytes. Default `16MiB`.
    #[serde(deserialize_with = "units::size")]
    pub echo_message_size_limit: usize,
}

impl Default for WebSocketConfig {
    fn default() -> Self {
        Self {
            allowed_origins: Vec::new(),
            ping_interval: Duration::from_secs(25),
            close_timeout: Duration::from_secs(5),
            echo_message_size_limit: 16 * 1024 * 1024,
        }
    }
}

impl WebSocketConfig {
    /// What cannot be served, one line each.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (key, timer) in [("ping-interval", self.ping_interval), ("close-timeout", self.close_timeout)] {
            if timer.is_zero() {
                problems.push(format!("websocket.{key}: must be above zero"));
            }
        }
        if !(1..=1 << 30).contains(&self.echo_message_size_limit) {
            let problem = "websocket.echo-message-size-limit: must be from 1 byte to 1GiB";
            problems.push(problem.to_owned());
        }
        for (index, origin) in self.allowed_origins.iter().enumerate() {
            if !crate::auth::is_origin(origin) {
                problems.push(format!(
                    "websocket.allowed-origins[{index}]: {origin:?} is no origin, \
                     write scheme://host[:port]"
                ));
            }
        }
        problems
    }

    /// All timers, to be scaled.
    pub(super) fn timers(&mut self) -> Vec<&mut Duration> {
        vec![&mut self.ping_interval, &mut self.close_timeout]
    }
}

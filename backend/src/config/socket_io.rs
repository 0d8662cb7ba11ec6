//! `socket-io.*`.

use std::time::Duration;

use serde::Deserialize;

use super::units;

/// Socket.IO: the gateway at `/socket.io/`. Names and defaults are those of the
/// options of `socket.io` 4.8, but for the ping timeout.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SocketIoConfig {
    /// Whether there is a gateway. Default true.
    pub enabled: bool,
    /// The path, without the slash at its end that clients add. Default
    /// `/socket.io`.
    pub path: String,
    /// From the opening of a session, or a pong, to the next ping. Default
    /// `25s`. `WEBSOCKET_PING_INTERVAL`, in milliseconds, overrides it.
    #[serde(deserialize_with = "units::duration")]
    pub ping_interval: Duration,
    /// Longest time from a ping to its pong. Default `60s` (`socket.io` has
    /// 20 s). `WEBSOCKET_PING_TIMEOUT`, in milliseconds, overrides it.
    #[serde(deserialize_with = "units::duration")]
    pub ping_timeout: Duration,
    /// Longest time that an upgrade from polling to WebSocket may take. Default
    /// `10s`.
    #[serde(deserialize_with = "units::duration")]
    pub upgrade_timeout: Duration,
    /// Longest time from the opening of a session to its first namespace.
    /// Default `45s`.
    #[serde(deserialize_with = "units::duration")]
    pub connect_timeout: Duration,
    /// Largest WebSocket message or body of a polling request, in bytes. Default
    /// `1000000`, of which clients are told.
    #[serde(deserialize_with = "units::size")]
    pub max_http_buffer_size: usize,
    /// Sessions at one time; 503 above. Default 10000.
    pub max_sessions: usize,
    /// Bytes that may wait for a slow client before its session is closed.
    /// Default `2MiB`.
    #[serde(deserialize_with = "units::size")]
    pub send_buffer_size_limit: usize,
    /// Longest time that a write to a WebSocket may block before the session is
    /// closed. Default `10s`.
    #[serde(deserialize_with = "units::duration")]
    pub send_time_limit: Duration,
    /// From one `heartbeat` event to the next, `0s` for none. Default `30s`.
    /// `WEBSOCKET_HEARTBEAT_INTERVAL`, in milliseconds, overrides it.
    #[serde(deserialize_with = "units::duration")]
    pub heartbeat_interval: Duration,
    /// A client that leaves so many `heartbeat` events in a row unanswered is
    /// removed when the next one is due; 0 for never. Default 2.
    pub heartbeat_misses: u32,
    /// Name of a cookie with the session's id that is set when a session opens.
    /// Default none; `io` was that of `socket.io` 2.
    pub cookie: Option<String>,
}

impl Default for SocketIoConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            path: "/socket.io".to_owned(),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(60),
            upgrade_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(45),
            max_http_buffer_size: 1_000_000,
            max_sessions: 10_000,
            send_buffer_size_limit: 2 * 1024 * 1024,
            send_time_limit: Duration::from_secs(10),
            heartbeat_interval: Duration::from_secs(30),
            heartbeat_misses: 2,
            cookie: None,
        }
    }
}

impl SocketIoConfig {
    /// What the types cannot say, one line each.
    pub(super) fn problems(&self) -> Vec<String> {
        let segment = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '~');
        let path = self.path.len() > 1 && self.path.starts_with('/') && !self.path.ends_with('/');
        let token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let cookie = self.cookie.as_deref();
        let mut problems = Vec::new();
        let mut require = |holds: bool, problem: &str| {
            if !holds {
                problems.push(format!("socket-io.{problem}"));
            }
        };
        require(
            path && self.path.chars().all(segment),
            "path: must begin with / and not end with it, of letters, digits and -._~",
        );
        for (key, timer) in [
            ("ping-interval", self.ping_interval),
            ("ping-timeout", self.ping_timeout),
            ("upgrade-timeout", self.upgrade_timeout),
            ("connect-timeout", self.connect_timeout),
            ("send-time-limit", self.send_time_limit),
        ] {
            require(!timer.is_zero(), &format!("{key}: must be above zero"));
        }
        require(
            (1024..=64 << 20).contains(&self.max_http_buffer_size),
            "max-http-buffer-size: must be from 1KiB to 64MiB",
        );
        require((1..=1_000_000).contains(&self.max_sessions), "max-sessions: must be from 1 to 1000000");
        require(
            self.send_buffer_size_limit >= self.max_http_buffer_size,
            "send-buffer-size-limit: must not be below socket-io.max-http-buffer-size",
        );
        require(
            cookie.is_none_or(|name| !name.is_empty() && name.chars().all(token)),
            "cookie: must be letters, digits and -_.",
        );
        problems
    }

    /// Every timer, to be scaled.
    pub(super) fn timers(&mut self) -> Vec<&mut Duration> {
        vec![
            &mut self.ping_interval,
            &mut self.ping_timeout,
            &mut self.upgrade_timeout,
            &mut self.connect_timeout,
            &mut self.send_time_limit,
            &mut self.heartbeat_interval,
        ]
    }
}

/// What the environment overrides, in milliseconds as in the NestJS gateway
/// that this one stands in for.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SocketIoArguments {
    /// Milliseconds from one Socket.IO ping to the next [default: 25000]
    #[arg(long, env = "WEBSOCKET_PING_INTERVAL", value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    pub socket_io_ping_interval: Option<u64>,
    /// Milliseconds from a Socket.IO ping to its pong [default: 60000]
    #[arg(long, env = "WEBSOCKET_PING_TIMEOUT", value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    pub socket_io_ping_timeout: Option<u64>,
    /// Milliseconds from one heartbeat event to the next, 0 for none [default: 30000]
    #[arg(long, env = "WEBSOCKET_HEARTBEAT_INTERVAL", value_name = "MS")]
    pub socket_io_heartbeat_interval: Option<u64>,
}

impl SocketIoArguments {
    /// Lays what is set over the file.
    pub(super) fn apply(&self, config: &mut SocketIoConfig) {
        for (setting, millis) in [
            (&mut config.ping_interval, self.socket_io_ping_interval),
            (&mut config.ping_timeout, self.socket_io_ping_timeout),
            (&mut config.heartbeat_interval, self.socket_io_heartbeat_interval),
        ] {
            if let Some(millis) = millis {
                *setting = Duration::from_millis(millis);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_problem_and_others_have() {
        assert_eq!(SocketIoConfig::default().problems(), Vec::<String>::new());
        let broken = SocketIoConfig {
            path: "/socket.io/".to_owned(),
            ping_timeout: Duration::ZERO,
            send_buffer_size_limit: 1,
            cookie: Some("a b".to_owned()),
            ..SocketIoConfig::default()
        };
        let keys: Vec<_> =
            broken.problems().iter().filter_map(|p| Some(p.split_once(':')?.0.to_owned())).collect();
        let expected = [
            "socket-io.path",
            "socket-io.ping-timeout",
            "socket-io.send-buffer-size-limit",
            "socket-io.cookie",
        ];
        assert_eq!(keys, expected);
    }

    #[test]
    fn the_environment_counts_more_than_the_file() {
        let mut config = SocketIoConfig::default();
        let arguments =
            SocketIoArguments { socket_io_ping_timeout: Some(1500), ..SocketIoArguments::default() };
        arguments.apply(&mut config);
        assert_eq!(config.ping_timeout, Duration::from_millis(1500));
        assert_eq!(config.ping_interval, Duration::from_secs(25));
    }
}

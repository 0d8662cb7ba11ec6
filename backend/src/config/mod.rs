//! The settings of the backend, read from YAML and the command line.
//!
//! Keys are those of Spring Boot and its embedded Tomcat where one exists
//! (`server.tomcat.keep-alive-timeout`), so that a file written for the
//! service this one stands in for reads the same. Unknown keys are errors, and
//! every error names the file, the key and the place. Only this module knows
//! YAML.

mod arguments;
mod file;
mod limits;
mod management;
mod presence;
mod proxy_protocol;
mod relay;
mod security;
mod server;
mod shutdown;
mod sock_js;
mod socket_io;
mod spring;
mod ssl;
mod stomp;
mod store;
mod units;
mod web_socket;

use std::time::Duration;

use serde::Deserialize;

pub use arguments::Arguments;
pub use file::{ConfigError, Loaded};
pub use limits::{LimitsConfig, WhenExceeded};
pub use management::{ManagementConfig, ShowDetails};
pub use presence::PresenceConfig;
pub use proxy_protocol::{ProxyProtocolConfig, ProxyProtocolMode};
pub use relay::{
    ClusterConfig, ReconnectConfig, RedisConfig, RedisSslConfig, RelayConfig, RelayEnvelope, RelayMode,
    RelaySubscribe, Secret, StreamsConfig,
};
pub use security::{AccessConfig, JwtConfig, RuleConfig, SecurityConfig, TokenConfig};
pub use server::{
    ForwardHeadersStrategy, RemoteIpConfig, ServerConfig, ShutdownMode, ThreadsConfig, TomcatConfig,
};
pub use shutdown::{ShutdownCloseCode, ShutdownConfig};
pub use sock_js::SockJsConfig;
pub use socket_io::{SocketIoArguments, SocketIoConfig};
pub use ssl::SslConfig;
pub use stomp::{Acknowledgements, ClientPublish, HeartBeatConfig, StompConfig};
pub use store::{Password, StoreConfig, StoreUrl};
pub use units::{UnitError, parse_duration, parse_size};
pub use web_socket::WebSocketConfig;

/// Everything that can be set. `Config::default()` is a working server on
/// 127.0.0.1:8080.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Name of this instance, shown in `/whoami`, in the STOMP `server` header
    /// and in broadcasts. Default `albeit-backend`.
    pub instance: String,
    /// The HTTP server: Spring's `server.*`.
    pub server: ServerConfig,
    /// STOMP sessions and the broker's outboxes.
    pub stomp: StompConfig,
    /// WebSocket connections of every kind.
    pub websocket: WebSocketConfig,
    /// SockJS sessions and their HTTP transports.
    pub sockjs: SockJsConfig,
    /// The Socket.IO gateway.
    pub socket_io: SocketIoConfig,
    /// Who may connect, and as whom.
    pub security: SecurityConfig,
    /// Rates and numbers that one client may have.
    pub limits: LimitsConfig,
    /// Who is in a room, on which instance.
    pub presence: PresenceConfig,
    /// The way to other instances.
    pub relay: RelayConfig,
    /// The message store.
    pub store: StoreConfig,
    /// Health, and what it shows.
    pub management: ManagementConfig,
    /// How clients are told to leave.
    pub shutdown: ShutdownConfig,
    /// Longest time from SIGTERM to exit, in which connections are told to
    /// leave. Default `30s`, the deregistration delay the balancer is meant to
    /// be given.
    #[serde(deserialize_with = "units::duration")]
    pub drain: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            instance: "albeit-backend".to_owned(),
            server: ServerConfig::default(),
            stomp: StompConfig::default(),
            websocket: WebSocketConfig::default(),
            sockjs: SockJsConfig::default(),
            socket_io: SocketIoConfig::default(),
            security: SecurityConfig::default(),
            limits: LimitsConfig::default(),
            presence: PresenceConfig::default(),
            relay: RelayConfig::default(),
            store: StoreConfig::default(),
            management: ManagementConfig::default(),
            shutdown: ShutdownConfig::default(),
            drain: Duration::from_secs(30),
        }
    }
}

impl Config {
    /// Checks what types cannot say, and reports every problem at once.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] with one line for each problem.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        let printable = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
        if !printable(&self.instance) || self.instance.len() > 64 {
            problems.push("instance: must be 1 to 64 printable characters without blanks".to_owned());
        }
        problems.extend(self.server.problems());
        problems.extend(self.websocket.problems());
        problems.extend(self.stomp.problems());
        problems.extend(self.sockjs.problems());
        problems.extend(self.socket_io.problems());
        problems.extend(self.security.problems());
        problems.extend(self.security.origin_problems(&self.websocket.allowed_origins));
        problems.extend(self.limits.problems());
        problems.extend(self.presence.problems());
        problems.extend(self.relay.problems());
        problems.extend(self.store.problems());
        problems.extend(self.management.problems());
        if problems.is_empty() { Ok(()) } else { Err(ConfigError::Invalid(problems)) }
    }

    /// Settings that are understood and change nothing, one line each.
    #[must_use]
    pub fn without_effect(&self) -> Vec<&'static str> {
        let threads = &self.server.tomcat.threads;
        let notes = [
            (threads.max.is_some(), "server.tomcat.threads.max: there is no pool of request threads"),
            (
                threads.min_spare.is_some(),
                "server.tomcat.threads.min-spare: there is no pool of request threads",
            ),
            (
                threads.max_queue_capacity.is_some(),
                "server.tomcat.threads.max-queue-capacity: there is no pool of request threads",
            ),
        ];
        notes.into_iter().filter_map(|(is_set, note)| is_set.then_some(note)).collect()
    }

    /// Divides every timer by `scale`, so that an hour passes in a minute at
    /// 60 with all proportions kept. Nothing that was above zero becomes zero.
    #[must_use]
    pub fn scaled(mut self, scale: u32) -> Self {
        let scale = scale.max(1);
        self.limits.scale_rates(scale);
        let tomcat = &mut self.server.tomcat;
        let own = [&mut self.drain, &mut tomcat.connection_timeout, &mut tomcat.keep_alive_timeout];
        let sections = [
            self.websocket.timers(),
            self.stomp.timers(),
            self.sockjs.timers(),
            self.socket_io.timers(),
            self.security.timers(),
            self.presence.timers(),
            self.relay.timers(),
            self.store.timers(),
            self.management.timers(),
            self.shutdown.timers(),
        ];
        for timer in own.into_iter().chain(sections.into_iter().flatten()) {
            if !timer.is_zero() {
                *timer = (*timer / scale).max(Duration::from_millis(1));
            }
        }
        self
    }
}

#[cfg(test)]
mod tests;

//! The settings of the backend, read from YAML and the command line.
//!
//! Keys are those of Spring Boot and its embedded Tomcat where one exists
//! (`server.tomcat.keep-alive-timeout`), so that a file written for the
//! service this one stands in for reads the same. Unknown keys are errors, and
//! every error names the file, the key and the place. Only this module knows
//! YAML.

mod arguments;
mod defaults;
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

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

pub use arguments::Arguments;
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

/// Largest configuration file that is read, in bytes: a guard against a wrong
/// path and against YAML alias expansion.
const FILE_LIMIT: u64 = 1 << 20;

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

/// A configuration as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Keys of Spring or of an application that mean nothing here, in the order
    /// of the alphabet.
    pub ignored: Vec<String>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is larger than any configuration is.
    #[error("{}: larger than {FILE_LIMIT} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A key is unknown, or a value is of the wrong type.
    #[error("{}: {key}: {message}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// The YAML path of the value.
        key: String,
        /// What is wrong, with line and column.
        message: String,
    },
    /// Values that cannot be served; one line each.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
}

impl Config {
    /// Reads a YAML file: our own, or Spring Boot's `application.yml`. Does not
    /// [`validate`](Self::validate).
    ///
    /// # Errors
    ///
    /// The file cannot be read, or does not parse.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::load(path).map(|loaded| loaded.config)
    }

    /// Reads a YAML file and tells what of it means nothing here. A file is
    /// Spring's when it is named `application*.yml` or has a key `spring`.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or does not parse.
    pub fn load(path: &Path) -> Result<Loaded, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(unreadable)?.len() > FILE_LIMIT {
            return Err(ConfigError::TooLarge { path: path.to_owned() });
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        if spring::is_spring(&text, path) {
            return spring::parse(&text, path, &|name| std::env::var(name).ok());
        }
        Ok(Loaded { config: Self::parse(&text, path)?, ignored: Vec::new() })
    }

    /// Parses YAML; `file` is only named in errors. An empty text is the
    /// default.
    ///
    /// # Errors
    ///
    /// The first unknown key or malformed value.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let blank = |line: &str| {
            let line = line.trim();
            line.is_empty() || line.starts_with('#') || line == "---"
        };
        if text.lines().all(blank) {
            return Ok(Self::default());
        }
        serde_path_to_error::deserialize(serde_yaml::Deserializer::from_str(text)).map_err(|error| {
            let key = error.path().to_string();
            let message = without_path(&error.inner().to_string(), &key).to_owned();
            ConfigError::Malformed { file: file.to_owned(), key, message }
        })
    }

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
        let mut require = |holds: bool, problem: &str| {
            if !holds {
                problems.push(problem.to_owned());
            }
        };
        for (key, timer) in [
            ("websocket.ping-interval", self.websocket.ping_interval),
            ("websocket.close-timeout", self.websocket.close_timeout),
        ] {
            require(!timer.is_zero(), &format!("{key}: must be above zero"));
        }
        require(
            (1..=1 << 30).contains(&self.websocket.echo_message_size_limit),
            "websocket.echo-message-size-limit: must be from 1 byte to 1GiB",
        );
        for (index, origin) in self.websocket.allowed_origins.iter().enumerate() {
            require(
                crate::auth::is_origin(origin),
                &format!(
                    "websocket.allowed-origins[{index}]: {origin:?} is no origin, \
                     write scheme://host[:port]"
                ),
            );
        }
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
        let own = [
            &mut self.drain,
            &mut tomcat.connection_timeout,
            &mut tomcat.keep_alive_timeout,
            &mut self.websocket.ping_interval,
            &mut self.websocket.close_timeout,
        ];
        let sections = [
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

/// The message without the path that the YAML parser puts before it: the key
/// or the mapping that holds it.
fn without_path<'a>(message: &'a str, key: &str) -> &'a str {
    let holder = key.rsplit_once('.').map_or("", |(holder, _)| holder);
    [key, holder]
        .into_iter()
        .find_map(|path| message.strip_prefix(path)?.strip_prefix(": "))
        .unwrap_or(message)
}

#[cfg(test)]
mod tests;

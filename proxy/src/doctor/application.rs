//! What runs on targets: the timers and limits of an application.

use std::{collections::BTreeMap, time::Duration};

use super::{configuration::Configuration, setting::Setting};

/// What an application is built on, where that decides about defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Runtime {
    /// Spring Boot on Tomcat.
    Spring,
    /// `albeit-backend`.
    AlbeitBackend,
    /// Node.js.
    Node,
    /// Nothing is known of it.
    #[default]
    Unknown,
}

/// An application, or what several sources say of it together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Application {
    /// Its name: of the service, the container or the file.
    pub name: String,
    /// What it is built on.
    pub runtime: Runtime,
    /// Target groups that it is tied to by name. Empty if no source says.
    pub target_groups: Vec<String>,
    /// The port it serves.
    pub port: Option<Setting<u16>>,
    /// How many of it run at the same time.
    pub instances: Option<Setting<u32>>,
    /// The image of its container.
    pub image: Option<Setting<String>>,
    /// The command line of its container, where its image's own is replaced or added to: entry point, then command.
    pub command: Vec<Setting<String>>,
    /// Environment variables it is started with.
    pub environment: BTreeMap<String, Setting<String>>,
    /// How long it keeps a connection without a request.
    pub keep_alive_timeout: Option<Setting<Duration>>,
    /// Requests after which it closes a connection; `None` inside for no limit.
    pub max_keep_alive_requests: Option<Setting<Option<u64>>>,
    /// The longest head of a request it takes, in bytes.
    pub max_request_header_size: Option<Setting<u64>>,
    /// What keeps its long connections in use.
    pub heartbeats: Vec<Heartbeat>,
    /// Its SockJS endpoint.
    pub sock_js: Option<SockJs>,
    /// Its Engine.IO and Socket.IO endpoint.
    pub socket_io: Option<SocketIo>,
    /// Where sessions between requests are kept in the process itself: what says so.
    pub sessions: Option<Setting<String>>,
    /// How long such a session lives after its last request.
    pub session_timeout: Option<Setting<Duration>>,
    /// Paths of WebSockets, SockJS or Socket.IO.
    pub web_socket_paths: Vec<Setting<String>>,
    /// How it ends.
    pub shutdown: Shutdown,
    /// How it begins.
    pub startup: Startup,
    /// Whether it believes `X-Forwarded-*`.
    pub forwarded_headers: Option<Setting<bool>>,
    /// Whether it expects a PROXY protocol header.
    pub proxy_protocol: Option<Setting<bool>>,
    /// Whether it terminates TLS itself.
    pub tls: Option<Setting<bool>>,
    /// Idle time before it sends TCP keepalive packets.
    pub tcp_keepalive: Option<Setting<Duration>>,
    /// How messages reach clients of the other instances, such as `memory`, `simple` or `redis`.
    pub relay: Option<Setting<String>>,
    /// The time a request may take.
    pub longest_request: Option<Setting<Duration>>,
    /// Connections it takes at the same time.
    pub max_connections: Option<Setting<u64>>,
    /// Hosts it answers, where it refuses others.
    pub allowed_hosts: Option<Setting<String>>,
    /// Idle timeouts of proxies between load balancer and application, such as a sidecar's.
    pub hops: Vec<Setting<Duration>>,
    /// The path of its health.
    pub health_path: Option<Setting<String>>,
    /// What its configuration files say, before anybody has understood it.
    pub configuration: Option<Configuration>,
    /// Whether it is no more than what `targets_declare` says of the targets of a group.
    pub is_declaration: bool,
}

/// Something that is sent at an interval on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// What is sent, such as `STOMP heart-beat` or `Engine.IO ping`.
    pub what: &'static str,
    /// How often; zero if it is switched off.
    pub interval: Setting<Duration>,
}

/// A SockJS endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SockJs {
    /// What switches it on.
    pub enabled: Setting<bool>,
    /// How long a session without a connection lives.
    pub disconnect_delay: Option<Setting<Duration>>,
}

/// An Engine.IO endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketIo {
    /// Time between pings.
    pub ping_interval: Setting<Duration>,
    /// How long the answer to a ping may take.
    pub ping_timeout: Setting<Duration>,
    /// Whether HTTP long polling is allowed.
    pub polling: Setting<bool>,
}

/// How an application ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shutdown {
    /// Whether it lets requests end at SIGTERM.
    pub graceful: Option<Setting<bool>>,
    /// How long it lets them.
    pub grace: Option<Setting<Duration>>,
    /// How long its supervisor waits between SIGTERM and SIGKILL.
    pub stop_timeout: Option<Setting<Duration>>,
}

/// How an application begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Startup {
    /// Time in which failed health checks of the container do not count.
    pub start_period: Option<Setting<Duration>>,
    /// Time in which failed health checks of the load balancer do not count.
    pub health_check_grace_period: Option<Setting<Duration>>,
    /// Time between health checks of the container, if it has any.
    pub interval: Option<Setting<Duration>>,
    /// How long such a check may take.
    pub timeout: Option<Setting<Duration>>,
    /// Failed checks in a row after which the container is replaced.
    pub retries: Option<Setting<u32>>,
}

impl Application {
    /// How findings call it.
    #[must_use]
    pub fn title(&self) -> String {
        format!("application {}", self.name)
    }
}

//! The default of every setting.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::{
    Config, LimitsConfig, ManagementConfig, PresenceConfig, ProxyProtocolConfig, RelayConfig, RemoteIpConfig,
    SecurityConfig, ServerConfig, ShutdownConfig, SockJsConfig, SocketIoConfig, SslConfig, StompConfig,
    StoreConfig, TomcatConfig, WebSocketConfig,
};

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

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            port: 8080,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            reuse_port: false,
            ssl: SslConfig::default(),
            proxy_protocol: ProxyProtocolConfig::default(),
            tomcat: TomcatConfig::default(),
        }
    }
}

impl Default for TomcatConfig {
    fn default() -> Self {
        Self {
            connection_timeout: Duration::from_secs(20),
            keep_alive_timeout: Duration::from_secs(70),
            max_http_header_size: 8192,
            max_connections: 10_000,
            accept_count: 4096,
            remoteip: RemoteIpConfig::default(),
        }
    }
}

impl Default for RemoteIpConfig {
    fn default() -> Self {
        let networks = [
            "127.0.0.0/8",
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "100.64.0.0/10",
            "169.254.0.0/16",
            "::1/128",
            "fe80::/10",
            "fc00::/7",
        ];
        Self { internal_proxies: networks.iter().filter_map(|text| text.parse().ok()).collect() }
    }
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

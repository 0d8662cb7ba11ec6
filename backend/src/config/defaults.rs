//! The default of every setting.

use std::time::Duration;

use super::{
    Config, LimitsConfig, ManagementConfig, PresenceConfig, RelayConfig, SecurityConfig, ServerConfig,
    ShutdownConfig, SockJsConfig, SocketIoConfig, StompConfig, StoreConfig, WebSocketConfig,
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

//! Joins sockets, sessions and the broker: one task per WebSocket, which reads,
//! writes and keeps the timers of its connection.

mod carrier;
mod clock;
mod destinations;
mod echo;
mod encoding;
mod identity;
mod leaving;
mod message;
mod presence;
mod publish;
mod rates;
pub mod sock_js;
pub mod socket_io;
mod stomp;

use std::sync::Arc;

use crate::app::Application;
use crate::auth::{Client, Security};
use crate::broker::Broker;
use crate::config::Config;
use crate::health::{self, Lifecycle};
use crate::limits::Admission;
use crate::metrics::Metrics;
use crate::relay::Relay;
use crate::stomp::Settings;
use crate::store::Store;

pub use carrier::{Carrier, Encoding};
pub use echo::serve as serve_echo;
pub use encoding::put_escaped;
pub use message::Content;
pub use presence::Presence;
pub use socket_io::SocketIo;
pub use stomp::serve as serve_stomp;

/// The subprotocols of the STOMP endpoint, best first.
pub const STOMP_PROTOCOLS: [&str; 3] = ["v12.stomp", "v11.stomp", "v10.stomp"];

/// A STOMP message may come in a WebSocket message with others: this many
/// times the frame limit is read in one, so that a frame above the limit gets an
/// ERROR and not a bare 1009.
const MESSAGES_PER_READ: usize = 2;

/// What all connections of a server share.
pub struct Services {
    /// The settings, scaled.
    pub config: Config,
    /// Destinations and their subscribers.
    pub broker: Arc<Broker>,
    /// Who is in which room.
    pub presence: Arc<Presence>,
    /// The other instances.
    pub relay: Relay,
    /// SockJS sessions that are reached by HTTP requests.
    pub sock_js: sock_js::Sessions,
    /// What was published before.
    pub store: Store,
    /// Counters and gauges.
    pub metrics: Metrics,
    /// Handles `/app/…`.
    pub application: Arc<dyn Application>,
    /// Socket.IO sessions.
    pub socket_io: SocketIo,
    /// Who may connect, and as whom.
    pub security: Security,
    /// How many may connect.
    pub admission: Admission,
    /// What STOMP sessions share.
    pub stomp: Arc<Settings>,
    /// Whether the process is leaving.
    pub lifecycle: Lifecycle,
    /// The components whose health is reported.
    pub health: health::Registry,
}

/// A session that begins.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Names it among all sessions.
    pub session: Arc<str>,
    /// Who opened it.
    pub client: Arc<Client>,
    /// From 0 to 1: when in the window it leaves while the server drains.
    pub jitter: f64,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services").field("instance", &self.config.instance).finish_non_exhaustive()
    }
}

impl Services {
    /// The largest WebSocket message that a STOMP endpoint reads, in bytes.
    #[must_use]
    pub fn stomp_message_limit(&self) -> usize {
        self.config.stomp.message_size_limit.saturating_mul(MESSAGES_PER_READ)
    }
}

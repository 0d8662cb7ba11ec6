//! Socket.IO: sessions on polling and WebSocket, their namespaces and rooms.
//!
//! A session is one task (`session`), whatever carries it (`transport`):
//! HTTP requests reach it through its [`Handle`], a WebSocket is lent to it.
//! Everything for the client waits in one bounded outbox, in order, and is
//! written by the transport of the moment, so an upgrade loses and reorders
//! nothing.

mod clients;
mod dispatch;
mod emit;
mod ending;
mod guard;
mod handle;
mod heartbeat;
mod member;
mod rooms;
mod session;
mod transport;
mod upgrade;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::config::SocketIoConfig;
use crate::engine_io::TransportName;
use crate::link::{Table, TableFull};

use super::Services;

pub use handle::{Handle, Overlap, Polled};
pub use session::{serve_polling, serve_web_socket};
pub use transport::lend;

use handle::Ends;
use rooms::Rooms;

/// The sessions of a server.
#[derive(Debug)]
pub struct SocketIo {
    sessions: Table<Handle>,
    rooms: Rooms,
}

impl SocketIo {
    /// No sessions.
    #[must_use]
    pub fn new(config: &SocketIoConfig) -> Self {
        Self { sessions: Table::new(config.max_sessions), rooms: Rooms::default() }
    }

    /// The session of this id.
    #[must_use]
    pub fn session(&self, sid: &str) -> Option<Arc<Handle>> {
        self.sessions.get(sid)
    }

    /// How many sessions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A session that has an id, and no task yet. Dropping it forgets it.
#[derive(Debug)]
pub struct Prepared {
    services: Arc<Services>,
    handle: Arc<Handle>,
    ends: Option<Ends>,
}

impl Prepared {
    /// A new session.
    ///
    /// # Errors
    ///
    /// There are too many.
    pub fn try_new(services: &Arc<Services>, transport: TransportName) -> Result<Self, TableFull> {
        let sid = new_id();
        let (handle, ends) = Handle::new(&sid, transport);
        let (handle, _) = services.socket_io.sessions.get_or_insert(&sid, || handle)?;
        Ok(Self { services: Arc::clone(services), handle, ends: Some(ends) })
    }

    /// What requests see of it.
    #[must_use]
    pub fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }

    /// From now on its id is unknown.
    fn forget(&self) {
        self.services.socket_io.sessions.remove(&self.handle.sid, &self.handle);
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        self.forget();
    }
}

/// 120 random bits in 20 characters, as `engine.io` names its sessions.
fn new_id() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 15]>())
}

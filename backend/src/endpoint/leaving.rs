//! What clients are told, and how they are closed, when the server leaves: one
//! place for every protocol.

use std::time::Duration;

use crate::config::ShutdownCloseCode;
use crate::health::Notice;
use crate::ws::CloseCode;

use super::{Content, Services};

impl Services {
    /// The notice for the clients of a server that leaves. STOMP clients get it
    /// as a message on [`Notice::DESTINATION`] when draining starts.
    #[must_use]
    pub fn notice(&self) -> Notice {
        Notice::new(self.config.shutdown.reconnect_in)
    }

    /// Code and reason of the close that ends a session of a server that
    /// leaves: 1001, or 1012 by configuration.
    #[must_use]
    pub fn leaving(&self) -> (CloseCode, &'static str) {
        match self.config.shutdown.close_code {
            ShutdownCloseCode::GoingAway => (CloseCode::GoingAway, "server is going away"),
            ShutdownCloseCode::ServiceRestart => (CloseCode::ServiceRestart, "server restarts"),
        }
    }

    /// Longest delay of a session's close after closing started: half the
    /// drain, so that clients do not return all at once, and that the closing
    /// handshakes have their time.
    #[must_use]
    pub fn jitter_window(&self) -> Duration {
        self.config.drain / 2
    }

    /// Tells the STOMP clients of this instance. Others do not leave.
    pub async fn announce(&self) {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let content = Content::new(Notice::DESTINATION.to_owned(), headers, self.notice().json().into());
        self.publish_here(&content).await;
    }
}

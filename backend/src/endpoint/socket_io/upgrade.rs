//! The upgrade: a WebSocket that is offered, probed, and takes the place of
//! polling.

use tokio::time::Instant;

use crate::engine_io::Packet;
use crate::ws::{CloseCode, Reading};

use super::session::Session;
use super::transport::{Happened, Lent, Transport, of_socket};

impl Session {
    /// A WebSocket came for a session that polls.
    pub(super) fn handle_offer(&mut self, lent: Lent) {
        if self.ending.is_none() && self.engine.handle_offer(Instant::now()) {
            self.candidate = Some(lent);
        } else {
            lent.give_back((CloseCode::Normal, ""));
        }
    }

    /// What happened on the WebSocket that is probed.
    pub(super) fn handle_probed(&mut self, happened: Happened) {
        match happened {
            Happened::Packet(packet) => self.engine.handle_probe(Instant::now(), packet),
            Happened::Packets(_) | Happened::Nothing => {}
            Happened::Closed(..) => self.engine.handle_probe_closed(),
        }
    }

    /// What waits in the outbox is written by the WebSocket from now on.
    pub(super) fn switch(&mut self) {
        let Some(candidate) = self.candidate.take() else { return };
        self.services.metrics.socket_io.upgrades.with_label_values(&["completed"]).inc();
        self.transport.release(&Packet::Close);
        self.transport = Transport::web_socket(&self.services, candidate);
        self.handle.upgrade();
    }

    /// The WebSocket does not become the transport.
    pub(super) fn drop_candidate(&mut self, result: &str) {
        if let Some(candidate) = self.candidate.take() {
            self.services.metrics.socket_io.upgrades.with_label_values(&[result]).inc();
            candidate.give_back((CloseCode::Normal, ""));
        }
    }
}

/// What happens on the WebSocket that is probed; pending when there is none.
pub(super) async fn probed(candidate: &mut Option<Lent>, reading: Reading) -> Happened {
    match candidate {
        Some(candidate) => of_socket(candidate.socket.event(reading).await),
        None => std::future::pending().await,
    }
}

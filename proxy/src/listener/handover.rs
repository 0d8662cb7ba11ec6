//! Connections that a network load balancer hands over to a listener of an
//! application load balancer of the same process.

use std::{net::SocketAddr, pin::Pin, sync::Arc};

use tokio::time::Instant;

use super::{
    Planes,
    application::{self, Accepted},
    front::Plane,
};
use crate::{client_socket::ClientSocket, nlb};

impl nlb::Handover for Planes {
    fn hand_over(
        &self,
        address: SocketAddr,
        socket: ClientSocket,
        client: SocketAddr,
    ) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let running = self.running.lock();
        // A listener on all addresses is reached at any of them.
        let serves = |bind: &SocketAddr| {
            bind.port() == address.port()
                && (bind.ip() == address.ip()
                    || (bind.ip().is_unspecified() && bind.is_ipv4() == address.is_ipv4()))
        };
        let (_, listener) = running.iter().find(|(bind, _)| serves(bind))?;
        let front = listener.front.load();
        let Plane::Application(state) = &front.plane else {
            return None;
        };
        let closing = front.closing.clone();
        let accepted = Accepted { socket, client, local: Some(address), at: Instant::now(), closing };
        Some(Box::pin(application::serve(accepted, Arc::clone(state), Arc::clone(&self.alb))))
    }
}

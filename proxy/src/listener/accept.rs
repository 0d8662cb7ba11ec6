//! The accept loop of one listener, and a connection's way to its data plane.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use tokio::{
    net::{TcpListener, TcpStream},
    time::Instant,
};

use super::{
    Planes,
    application::{self, Accepted},
    front::{Front, Plane},
    proxy_protocol::{self, Received, Refused},
};
use crate::{
    client::closing::{Closing, last_moment},
    client_socket::ClientSocket,
    nlb,
    proxy_protocol::Addresses,
};

/// Pause after the system could not hand a connection over, for example for want of descriptors.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Accepts connections until `stopped`; each is served in a task of its own.
pub(super) async fn run(
    listener: Arc<TcpListener>,
    front: Arc<ArcSwap<Front>>,
    planes: Arc<Planes>,
    stopped: Closing,
) {
    let spawn = |tcp, peer| Connection::enter(tcp, peer, &front.load(), &planes);
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((tcp, peer)) => {
                failing = false;
                spawn(tcp, peer);
            }
            Err(error) if is_about_one_connection(&error) => {
                tracing::debug!(%error, "a connection was gone before it was accepted");
            }
            Err(error) => {
                // Told once, not at every try: whether anybody waits is not known.
                if !failing {
                    front.load().count_rejected();
                    tracing::error!(%error, "accepting connections failed");
                }
                failing = true;
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
    // Who is already connected is served once more: closing the socket would reset them.
    while let Some(Ok((tcp, peer))) = listener.accept().now_or_never() {
        spawn(tcp, peer);
    }
}

/// Whether the client gave up by itself, rather than the system running out of something.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// A connection on its way to its data plane.
struct Connection {
    tcp: TcpStream,
    ahead: Vec<u8>,
    client: SocketAddr,
    /// The address the client reached, if a PROXY protocol header names it.
    destination: Option<SocketAddr>,
    at: Instant,
}

impl Connection {
    /// Takes a connection in. What serves it is a task of its own kind, which has no room for the others.
    fn enter(tcp: TcpStream, peer: SocketAddr, front: &Arc<Front>, planes: &Arc<Planes>) {
        let at = Instant::now();
        let connection = Self { tcp, ahead: Vec::new(), client: peer, destination: None, at };
        if front.proxy_protocol.is_some() {
            let (front, planes) = (Arc::clone(front), Arc::clone(planes));
            let tracker = planes.tracker.clone();
            tracker.spawn(connection.receive_proxy_protocol(front, planes));
        } else {
            connection.serve(front, planes);
        }
    }

    /// Once the listener goes, a client has only a moment left for its header.
    async fn receive_proxy_protocol(mut self, front: Arc<Front>, planes: Arc<Planes>) {
        let Some(proxy_protocol) = &front.proxy_protocol else {
            return self.serve(&front, &planes);
        };
        let received = tokio::select! {
            biased;
            received = proxy_protocol.receive(&mut self.tcp, self.client) => received,
            () = last_moment(&front.closing) => Err(Refused::TimedOut),
            () = planes.terminated.cancelled() => return,
        };
        match received {
            Ok(Received { addresses, ahead }) => {
                self.ahead = ahead;
                if let Some(Addresses { source, destination }) = addresses {
                    (self.client, self.destination) = (source, Some(destination));
                }
                self.serve(&front, &planes);
            }
            Err(refused) => {
                proxy_protocol::refuse(&front, &refused, (self.client, self.tcp.local_addr().ok()));
            }
        }
    }

    fn serve(self, front: &Front, planes: &Arc<Planes>) {
        let Self { tcp, ahead, client, destination, at } = self;
        match &front.plane {
            Plane::Application(listener) => {
                let (socket, closing) = (ClientSocket::new(tcp, ahead), front.closing.clone());
                let accepted = Accepted { socket, client, local: None, at, closing };
                let serving = application::serve(accepted, Arc::clone(listener), Arc::clone(&planes.alb));
                planes.tracker.spawn(serving);
            }
            Plane::Network(listener) => {
                let Ok(local) = tcp.local_addr() else {
                    return;
                };
                let destination = destination.unwrap_or(local);
                let accepted = nlb::Accepted { tcp, ahead, client, destination, local, at };
                let handover: Arc<dyn nlb::Handover> = Arc::clone(planes) as _;
                let shared = Arc::clone(&planes.nlb);
                nlb::flow::spawn(accepted, Arc::clone(listener), shared, handover);
            }
        }
    }
}

//! A connection of an HTTP or HTTPS listener: TLS, the connection log, and the
//! hand-over to the HTTP data plane.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use rand::Rng;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;

use super::connection_log::{Attempt, Tls};
use crate::{
    access_log::record::ConnTraceId,
    alb::{
        self,
        state::{ListenerState, Shared},
    },
    client::{
        ClientStream, Connection, Meter, Transport, Usage,
        closing::{Closing, last_moment},
    },
    client_socket::ClientSocket,
    tls::accept::{HandshakeError, TlsInfo, TlsListener},
};

/// A connection that was accepted.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) socket: ClientSocket,
    /// The client, as a PROXY protocol header names it, else the TCP peer.
    pub(super) client: SocketAddr,
    /// The listener's address, if it is another than the one the connection was accepted on.
    pub(super) local: Option<SocketAddr>,
    pub(super) at: Instant,
    /// Cancelled when the listener goes, or goes over to the other plane.
    pub(super) closing: Closing,
}

/// Serves a connection to its end, or until it is a WebSocket.
pub(super) async fn serve(accepted: Accepted, listener: Arc<ArcSwap<ListenerState>>, shared: Arc<Shared>) {
    let Accepted { socket, client, local, at, closing } = accepted;
    let Some(local) = local.or_else(|| socket.tcp().local_addr().ok()) else {
        return;
    };
    let meter = Arc::new(Meter::new(at, SystemTime::now()));
    let state = listener.load_full();
    let open = state.load_balancer.metrics.connection_established();
    let trace_id = ConnTraceId(rand::rng().random());
    let attempt = Attempt { client, local, trace_id };
    let log = |tls| attempt.log(&state.load_balancer, tls, || meter.wall_clock(Instant::now()));
    let (transport, tls) = match &state.tls {
        None => {
            log(Tls::None);
            (Transport::Plain(socket), None)
        }
        Some(tls) => match handshake(tls, socket, state.handshake_timeout, &closing).await {
            Ok((stream, info)) => {
                log(Tls::Established(&info, at.elapsed()));
                (Transport::Tls(stream), Some(info))
            }
            Err(error) => {
                log(Tls::Failed(&error));
                state.load_balancer.metrics.client_tls_negotiation_error_count.inc();
                let status = error.verify_status().as_str();
                let error: &dyn std::error::Error = &error;
                tracing::info!(%client, %local, status, error, "TLS negotiation failed");
                return;
            }
        },
    };
    let connection = shared.connections.enter(|listed| Connection {
        client,
        local,
        tls,
        meter: Arc::clone(&meter),
        expires: meter.accepted() + state.load_balancer.timers.client_keep_alive,
        trace_id,
        closing,
        usage: Usage::new(state.load_balancer.timers.idle),
        listed,
        open,
    });
    drop(state);
    alb::connection::serve(shared, listener, connection, ClientStream::new(transport, meter)).await;
}

/// The TLS handshake; once the listener goes, a client has only a moment left for it.
async fn handshake(
    tls: &TlsListener,
    socket: ClientSocket,
    limit: Duration,
    closing: &Closing,
) -> Result<(Box<TlsStream<ClientSocket>>, TlsInfo), HandshakeError> {
    tokio::select! {
        biased;
        accepted = tls.accept(socket, limit) => accepted,
        () = last_moment(closing) => Err(HandshakeError::TimedOut),
    }
}

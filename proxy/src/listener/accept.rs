//! The accept loop of one listener, and a connection's way to the data plane.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use rand::Rng;
use tokio::{
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::connection_log::{Attempt, Tls};
use crate::{
    access_log::record::ConnTraceId,
    alb::{
        self,
        state::{ListenerState, Shared},
    },
    client::{ClientStream, Connection, Meter, Transport, Usage, connection::last_moment},
    tls::accept::{HandshakeError, TlsInfo, TlsListener},
};

/// Pause after the system could not hand a connection over, for example for want of descriptors.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Accepts connections until `stopped`; each is served in a task of its own.
pub(super) async fn run(
    listener: TcpListener,
    state: Arc<ArcSwap<ListenerState>>,
    shared: Arc<Shared>,
    stopped: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((tcp, client)) => {
                shared.tracker.spawn(serve(
                    tcp,
                    client,
                    Arc::clone(&state),
                    Arc::clone(&shared),
                    stopped.clone(),
                ));
            }
            Err(error) if is_about_one_connection(&error) => {
                tracing::debug!(%error, "a connection was gone before it was accepted");
            }
            Err(error) => {
                state.load().load_balancer.metrics.rejected_connection_count.inc();
                tracing::error!(%error, "accepting connections failed");
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
    // Who is already connected is served once more: closing the socket would reset them.
    while let Some(Ok((tcp, client))) = listener.accept().now_or_never() {
        shared.tracker.spawn(serve(tcp, client, Arc::clone(&state), Arc::clone(&shared), stopped.clone()));
    }
}

/// Whether the client gave up by itself, rather than the system running out of something.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

async fn serve(
    tcp: TcpStream,
    client: SocketAddr,
    listener: Arc<ArcSwap<ListenerState>>,
    shared: Arc<Shared>,
    closing: CancellationToken,
) {
    let accepted = Instant::now();
    let meter = Arc::new(Meter::new(accepted, std::time::SystemTime::now()));
    let state = listener.load_full();
    let open = state.load_balancer.metrics.connection_established();
    // Without it small frames wait for acknowledgements; a refusal costs only latency.
    drop(tcp.set_nodelay(true));
    let Ok(local) = tcp.local_addr() else {
        return;
    };
    let trace_id = ConnTraceId(rand::rng().random());
    let attempt = Attempt { client, local, trace_id };
    let log = |tls| attempt.log(&state.load_balancer, tls, || meter.wall_clock(Instant::now()));
    let (transport, tls) = match &state.tls {
        None => {
            log(Tls::None);
            (Transport::Plain(tcp), None)
        }
        Some(tls) => match handshake(tls, tcp, state.handshake_timeout, &closing).await {
            Ok((stream, info)) => {
                log(Tls::Established(&info, accepted.elapsed()));
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
    tcp: TcpStream,
    limit: Duration,
    closing: &CancellationToken,
) -> Result<(Box<TlsStream<TcpStream>>, TlsInfo), HandshakeError> {
    tokio::select! {
        biased;
        accepted = tls.accept(tcp, limit) => accepted,
        () = last_moment(closing) => Err(HandshakeError::TimedOut),
    }
}

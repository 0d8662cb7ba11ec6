//! A flow from its first byte to its last.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rand::Rng;
use tokio::{net::TcpStream, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Accepted, Handover, Shared, alb_target,
    connect::{self, Ends},
    flows::{Begin, OpenFlow},
    forward::{self, Chosen},
    state::{GroupState, ListenerState},
    tls_client::TlsClient,
};
use crate::{
    balance::flow_hash::FlowKey,
    client_socket::ClientSocket,
    flow::{CloseReason, Protocol},
    metrics::ActiveFlow,
    model::TargetType,
    target_groups::{CutReason, FlowCut},
    tls::{accept::HandshakeError, accept_flow::ClientRequest},
    tunnel::{self, EarlyBytes, Keepalive, Settings},
};

/// What is known of a flow, for its log records and metrics.
#[derive(Debug)]
pub(super) struct Flow {
    /// What others see of it while it runs.
    pub(super) open: Arc<OpenFlow>,
    pub(super) active: ActiveFlow,
    pub(super) group: Option<Arc<GroupState>>,
    pub(super) target: Option<SocketAddr>,
    pub(super) connect_time: Option<Duration>,
    /// Of flows of TLS listeners.
    pub(super) tls: Option<Box<TlsFacts>>,
}

/// What the access log tells of a TLS connection.
#[derive(Debug, Default)]
pub(super) struct TlsFacts {
    pub(super) request: ClientRequest,
    /// How long it took to agree.
    pub(super) handshake_time: Option<Duration>,
    pub(super) failed: Option<HandshakeError>,
    /// What was agreed on with the target by ALPN.
    pub(super) target_alpn: Option<Vec<u8>>,
}

/// The target's side of a flow until it has one.
pub(super) struct Route {
    pub(super) chosen: Chosen,
    pub(super) cut: FlowCut,
}

/// Serves a connection of a TCP or TLS listener to its end, in a task of its own.
pub fn spawn(
    accepted: Accepted,
    listener: Arc<ListenerState>,
    shared: Arc<Shared>,
    handover: Arc<dyn Handover>,
) {
    let Accepted { tcp, ahead, client, destination, local, at } = accepted;
    let active = listener.load_balancer.metrics.begin_flow(listener.protocol);
    let begin = Begin { listener, client, destination, local, begun: at, begun_at: SystemTime::now() };
    let open = shared.flows.enter(begin);
    let flow = Flow { open, active, group: None, target: None, connect_time: None, tls: None };
    let tracker = shared.tracker.clone();
    if flow.open.listener.tls.is_some() {
        tracker.spawn(flow.serve_tls(ClientSocket::new(tcp, ahead), shared));
    } else {
        tracker.spawn(flow.serve_tcp(tcp, ahead, shared, handover));
    }
}

impl Flow {
    async fn serve_tcp(
        mut self,
        mut client: TcpStream,
        ahead: Vec<u8>,
        shared: Arc<Shared>,
        handover: Arc<dyn Handover>,
    ) {
        let Ok(route) = self.route() else {
            return self.refuse(client, CloseReason::NoTarget);
        };
        if route.chosen.group.target_type == TargetType::Alb {
            let socket = ClientSocket::new(client, ahead);
            return alb_target::serve(self, socket, route, shared, &*handover).await;
        }
        // Boxed: what it needs is given back before the bytes begin to pass.
        let mut target = match Box::pin(self.connect(&route, &shared)).await {
            Ok(target) => target,
            Err(reason) => return self.refuse(client, reason),
        };
        let early = EarlyBytes { from_client: ahead, ..EarlyBytes::default() };
        let Route { chosen, cut } = route;
        let ended = ended(&shared, &cut, &chosen.closed);
        let settings = self.settings();
        let reason = tunnel::relay_tcp(&mut client, &mut target, early, settings, ended).await;
        let interrupted = interruption(&shared, &cut);
        self.end(reason, interrupted, (client, target), &shared);
    }

    async fn serve_tls(mut self, client: ClientSocket, shared: Arc<Shared>) {
        let Some(client) = Box::pin(self.accept_tls(client, &shared)).await else {
            return self.finish(CloseReason::ClientTlsError);
        };
        let Ok(route) = self.route() else {
            return self.refuse(client.into_tcp(), CloseReason::NoTarget);
        };
        let target = match Box::pin(self.connect(&route, &shared)).await {
            Ok(target) => target,
            Err(reason) => return self.refuse(client.into_tcp(), reason),
        };
        let Some(tls) = route.chosen.group.tls.clone() else {
            return self.relay_tls(client, target, route, shared).await;
        };
        let alpn = self.open.tls.get().and_then(|info| info.alpn);
        let limit = self.open.listener.target_handshake_timeout;
        match Box::pin(connect::secure(&tls, alpn, route.chosen.guard.target().addr(), target, limit)).await {
            Ok(target) => {
                if let Some(facts) = &mut self.tls {
                    facts.target_alpn = target.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
                }
                self.relay_tls(client, target, route, shared).await;
            }
            Err(reason) => self.refuse(client.into_tcp(), reason),
        }
    }

    async fn relay_tls<T: IntoTcp>(
        self,
        mut client: TlsClient,
        mut target: T,
        route: Route,
        shared: Arc<Shared>,
    ) {
        let Route { chosen, cut } = route;
        let ended = ended(&shared, &cut, &chosen.closed);
        let settings = self.settings();
        let reason = tunnel::relay(&mut client, &mut target, EarlyBytes::default(), settings, ended).await;
        let interrupted = interruption(&shared, &cut);
        self.end(reason, interrupted, (client.into_tcp(), target.into_tcp()), &shared);
    }

    /// The TLS handshake; `None` if it came to nothing.
    async fn accept_tls(&mut self, client: ClientSocket, shared: &Shared) -> Option<TlsClient> {
        let tls = self.open.listener.tls.clone()?;
        let facts = self.tls.insert(Box::default());
        let accepted = tokio::select! {
            biased;
            accepted = tls.accept_flow(client, self.open.listener.handshake_timeout, &mut facts.request) => accepted,
            () = shared.terminated.cancelled() => Err(HandshakeError::TimedOut),
        };
        match accepted {
            Ok((stream, info)) => {
                facts.handshake_time = Some(self.open.begun.elapsed());
                // Set here only.
                drop(self.open.tls.set(info));
                Some(TlsClient(stream))
            }
            Err(error) => {
                let reported: &dyn std::error::Error = &error;
                tracing::info!(client = %self.open.client, local = %self.open.local, error = reported, "TLS negotiation failed");
                facts.failed = Some(error);
                None
            }
        }
    }

    /// Chooses target group and target.
    fn route(&mut self) -> Result<Route, ()> {
        let mut rng = rand::rng();
        let key =
            FlowKey { source: self.open.client, destination: self.open.destination, sequence: rng.random() };
        match forward::choose(&self.open.listener, &key, rng.random()) {
            Ok(chosen) => {
                let target = chosen.guard.target();
                self.group = Some(Arc::clone(&chosen.group));
                self.target = Some(target.addr());
                // Chosen once.
                drop(self.open.target.set((Arc::clone(&chosen.group), Arc::clone(target))));
                let cut = target.flow_cut();
                Ok(Route { chosen, cut })
            }
            Err((_, group)) => {
                self.group = group;
                Err(())
            }
        }
    }

    async fn connect(&mut self, route: &Route, shared: &Shared) -> Result<TcpStream, CloseReason> {
        let began = Instant::now();
        let ends = Ends { client: self.open.client, destination: self.open.destination };
        let addr = route.chosen.guard.target().addr();
        let limit = self.open.listener.connect_timeout;
        let connected = tokio::select! {
            biased;
            connected = connect::connect(&route.chosen.group, addr, ends, limit) => connected?,
            reason = route.cut.cut() => return Err(reason.into()),
            () = shared.terminated.cancelled() => return Err(CloseReason::Shutdown),
        };
        self.connect_time = Some(began.elapsed());
        Ok(connected)
    }

    fn settings(&self) -> Settings<'_> {
        Settings {
            idle_timeout: self.open.listener.idle_timeout,
            keepalive: match self.open.listener.protocol {
                Protocol::Tcp => Keepalive::Counts,
                Protocol::Tls => Keepalive::Answered,
            },
            traffic: Some(&self.open.traffic),
        }
    }
}

/// A target's connection whose TCP connection can be had.
trait IntoTcp: tunnel::Connection {
    fn into_tcp(self) -> TcpStream;
}

impl IntoTcp for TcpStream {
    fn into_tcp(self) -> TcpStream {
        self
    }
}

impl IntoTcp for Box<tokio_rustls::client::TlsStream<TcpStream>> {
    fn into_tcp(self) -> TcpStream {
        self.into_inner().0
    }
}

impl From<CutReason> for CloseReason {
    fn from(reason: CutReason) -> Self {
        match reason {
            CutReason::Deregistered => Self::DeregisteredTarget,
            CutReason::Unhealthy => Self::UnhealthyTarget,
        }
    }
}

/// Completes when a flow must end that has not ended by itself.
async fn ended(shared: &Shared, cut: &FlowCut, closed: &CancellationToken) {
    tokio::select! {
        _ = cut.cut() => {}
        () = closed.cancelled() => {}
        () = shared.terminated.cancelled() => {}
    }
}

/// Why a flow was ended that had not ended by itself.
pub(super) fn interruption(shared: &Shared, cut: &FlowCut) -> CloseReason {
    match cut.reason() {
        Some(reason) => reason.into(),
        None if shared.terminated.is_cancelled() => CloseReason::Shutdown,
        None => CloseReason::Removed,
    }
}

//! A flow from its first byte to its last.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use rand::Rng;
use tokio::{net::TcpStream, time::Instant};

use super::{
    Accepted, Handover, Shared, alb_target,
    connect::{self, Ends},
    fault,
    flows::{Begin, OpenFlow},
    forward::{self, Chosen},
    state::{GroupState, ListenerState},
    tls_stream::{IntoTcp, Tls, TlsClient, TlsTarget},
};
use crate::{
    balance::flow_hash::FlowKey,
    client_socket::ClientSocket,
    fault::{Decision, relay_slowly},
    flow::{CloseReason, Protocol},
    metrics::ActiveFlow,
    model::TargetType,
    target_groups::{CutReason, FlowCut, NoTarget},
    tls::{accept::HandshakeError, accept_flow::ClientRequest},
    tunnel::{self, EarlyBytes, Keepalive, Settings},
};

/// What is known of a flow, for its log records and metrics.
#[derive(Debug)]
pub(super) struct Flow {
    /// What others see of it while it runs.
    pub(super) open: Arc<OpenFlow>,
    pub(super) active: ActiveFlow,
    /// The group that was chosen, whether it had a target or not.
    pub(super) group: Option<Arc<GroupState>>,
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
    pub(super) fault: Decision,
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
    let mut flow = Flow { open, active, group: None, connect_time: None, tls: None };
    let tracker = shared.tracker.clone();
    if flow.open.listener.tls.is_some() {
        tracker.spawn(flow.serve_tls(ClientSocket::new(tcp, ahead), shared));
        return;
    }
    match flow.route() {
        Err(NoTarget) => flow.refuse(tcp, CloseReason::NoTarget),
        Ok(route) if route.chosen.group.target_type == TargetType::Alb => {
            let socket = ClientSocket::new(tcp, ahead);
            tracker.spawn(async move { alb_target::serve(flow, socket, route, shared, &*handover).await });
        }
        Ok(route) => {
            tracker.spawn(flow.serve_tcp(tcp, ahead, route, shared));
        }
    }
}

impl Flow {
    async fn serve_tcp(mut self, client: TcpStream, ahead: Vec<u8>, route: Route, shared: Arc<Shared>) {
        if let Some(end) = route.fault.end {
            let early = EarlyBytes { from_client: ahead, ..EarlyBytes::default() };
            return Box::pin(fault::end(self, end, client, early, &route, &shared)).await;
        }
        // Boxed: what it needs is given back before the bytes begin to pass.
        match Box::pin(self.connect(&route, &shared)).await {
            Ok(target) => self.relay_tcp((client, target), ahead, route, &shared).await,
            Err(reason) => self.refuse(client, reason),
        }
    }

    async fn relay_tcp(
        self,
        (mut client, mut target): (TcpStream, TcpStream),
        ahead: Vec<u8>,
        route: Route,
        shared: &Shared,
    ) {
        let early = EarlyBytes { from_client: ahead, ..EarlyBytes::default() };
        let (settings, ended) = (self.settings(), ended(&route, shared));
        let reason = match fault::pace(&route.chosen.group) {
            None => tunnel::relay_tcp(&mut client, &mut target, early, settings, ended).await,
            Some(pace) => {
                Box::pin(relay_slowly(&mut client, &mut target, pace, early, settings, ended)).await
            }
        };
        self.end(&reason, interruption(&route, shared), (client, Some(target)), shared);
    }

    async fn serve_tls(mut self, client: ClientSocket, shared: Arc<Shared>) {
        let client = match Box::pin(self.accept_tls(client, &shared)).await {
            Ok(client) => client,
            Err(reason) => return self.finish(reason),
        };
        let Ok(route) = self.route() else {
            return self.refuse(client.into_tcp(), CloseReason::NoTarget);
        };
        if let Some(end) = route.fault.end {
            return Box::pin(fault::end(self, end, client, EarlyBytes::default(), &route, &shared)).await;
        }
        let target = match Box::pin(self.connect(&route, &shared)).await {
            Ok(target) => target,
            Err(reason) => return self.refuse(client.into_tcp(), reason),
        };
        if route.chosen.group.tls.is_none() {
            return self.relay_tls(client, target, route, &shared).await;
        }
        match Box::pin(self.secure(target, &route, &shared)).await {
            Ok(target) => self.relay_tls(client, target, route, &shared).await,
            Err(reason) => self.refuse(client.into_tcp(), reason),
        }
    }

    async fn relay_tls<T: IntoTcp>(
        self,
        mut client: TlsClient,
        mut target: T,
        route: Route,
        shared: &Shared,
    ) {
        let (settings, ended) = (self.settings(), ended(&route, shared));
        let early = EarlyBytes::default();
        let reason = match fault::pace(&route.chosen.group) {
            None => tunnel::relay(&mut client, &mut target, early, settings, ended).await,
            Some(pace) => {
                Box::pin(relay_slowly(&mut client, &mut target, pace, early, settings, ended)).await
            }
        };
        let ends = (client.into_tcp(), Some(target.into_tcp()));
        self.end(&reason, interruption(&route, shared), ends, shared);
    }

    /// The TLS handshake with the client.
    async fn accept_tls(&mut self, client: ClientSocket, shared: &Shared) -> Result<TlsClient, CloseReason> {
        let facts = self.tls.insert(Box::default());
        let tls = self.open.listener.tls.clone().ok_or(CloseReason::InternalError)?;
        let accepted = tokio::select! {
            biased;
            accepted = tls.accept_flow(client, self.open.listener.handshake_timeout, &mut facts.request) => accepted,
            () = shared.shutdown.cut() => return Err(CloseReason::Shutdown),
        };
        match accepted {
            Ok((stream, info)) => {
                facts.handshake_time = Some(self.open.begun.elapsed());
                // Set here only.
                drop(self.open.tls.set(Box::new(info)));
                Ok(Tls(stream))
            }
            Err(error) => {
                let reported: &dyn std::error::Error = &error;
                tracing::info!(client = %self.open.client, local = %self.open.local, error = reported, "TLS negotiation failed");
                facts.failed = Some(error);
                Err(CloseReason::ClientTlsError)
            }
        }
    }

    /// The TLS handshake with the target, in a group that has TLS.
    async fn secure(
        &mut self,
        target: TcpStream,
        route: &Route,
        shared: &Shared,
    ) -> Result<TlsTarget, CloseReason> {
        let tls = route.chosen.group.tls.as_ref().ok_or(CloseReason::InternalError)?;
        let alpn = self.open.tls.get().and_then(|info| info.alpn);
        let addr = route.chosen.guard.target().addr();
        let limit = self.open.listener.target_handshake_timeout;
        let stream = unless_ended(route, shared, connect::secure(tls, alpn, addr, target, limit)).await?;
        if let Some(facts) = &mut self.tls {
            facts.target_alpn = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        }
        Ok(Tls(stream))
    }

    /// Chooses target group and target.
    fn route(&mut self) -> Result<Route, NoTarget> {
        let mut rng = rand::rng();
        let key =
            FlowKey { source: self.open.client, destination: self.open.destination, sequence: rng.random() };
        match forward::choose(&self.open.listener, &key, rng.random()) {
            Ok(chosen) => {
                let target = chosen.guard.target();
                self.group = Some(Arc::clone(&chosen.group));
                // Chosen once.
                drop(self.open.target.set((Arc::clone(&chosen.group), Arc::clone(target))));
                let cut = target.flow_cut();
                let fault = fault::decide(&chosen.group);
                Ok(Route { chosen, cut, fault })
            }
            Err((no_target, group)) => {
                self.group = group;
                Err(no_target)
            }
        }
    }

    async fn connect(&mut self, route: &Route, shared: &Shared) -> Result<TcpStream, CloseReason> {
        let began = Instant::now();
        let ends = Ends { client: self.open.client, destination: self.open.destination };
        let addr = route.chosen.guard.target().addr();
        let limit = self.open.listener.connect_timeout;
        let connecting = async {
            let limit = fault::delay(route.fault, limit).await?;
            connect::connect(&route.chosen.group, addr, ends, limit).await
        };
        let connected = unless_ended(route, shared, connecting).await?;
        self.connect_time = Some(began.elapsed());
        Ok(connected)
    }

    pub(super) fn settings(&self) -> Settings<'_> {
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

impl From<CutReason> for CloseReason {
    fn from(reason: CutReason) -> Self {
        match reason {
            CutReason::Deregistered => Self::DeregisteredTarget,
            CutReason::Unhealthy => Self::UnhealthyTarget,
        }
    }
}

/// Completes when a flow must end that has not ended by itself.
pub(super) async fn ended(route: &Route, shared: &Shared) {
    tokio::select! {
        biased;
        _ = route.cut.cut() => {}
        () = route.chosen.closed.cut() => {}
        () = shared.shutdown.cut() => {}
    }
}

/// Why a flow was ended that had not ended by itself.
pub(super) fn interruption(route: &Route, shared: &Shared) -> CloseReason {
    match route.cut.reason() {
        Some(reason) => reason.into(),
        None if shared.shutdown.reason().is_some() => CloseReason::Shutdown,
        None => CloseReason::Removed,
    }
}

/// What `opening` comes to, unless the flow must end before.
async fn unless_ended<T>(
    route: &Route,
    shared: &Shared,
    opening: impl Future<Output = Result<T, CloseReason>>,
) -> Result<T, CloseReason> {
    tokio::select! {
        biased;
        opened = opening => opened,
        () = ended(route, shared) => Err(interruption(route, shared)),
    }
}

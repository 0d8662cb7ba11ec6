//! Flows of target groups of the type `alb`: the client's connection itself is
//! handed over to the application load balancer of this process.
//!
//! ELB page: "Use an Application Load Balancer as a target of a Network Load
//! Balancer". The client's address is preserved, as it always is with such
//! targets, and no byte passes through a second socket. What the network load
//! balancer does to a flow it still does: it counts it, and forgets it when it
//! idles too long; then whatever comes from either side is answered with a RST.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    Handover, Shared,
    flow::{Flow, Route},
};
use crate::{
    client_socket::{ClientSocket, FlowWatch},
    flow::CloseReason,
};

/// Serves a flow whose target is an application load balancer.
pub(super) async fn serve(
    flow: Flow,
    socket: ClientSocket,
    route: Route,
    shared: Arc<Shared>,
    handover: &dyn Handover,
) {
    let watch = Arc::new(FlowWatch::new(Instant::now()));
    let address = route.chosen.guard.target().addr();
    // Set here only.
    drop(flow.open.watch.set(Arc::clone(&watch)));
    let socket = socket.watched(Arc::clone(&watch));
    let Some(serving) = handover.hand_over(address, socket, flow.open.client) else {
        // The socket went with the attempt; without a listener there is no connection either way.
        return flow.finish(CloseReason::ConnectFailed);
    };
    shared.tracker.spawn(serving);
    let reason = tokio::select! {
        biased;
        () = watch.ended() => {
            if watch.is_client_reset() { CloseReason::ClientReset } else { CloseReason::ClientFin }
        }
        () = watch.idle(flow.open.listener.idle_timeout) => {
            watch.expire();
            flow.open.listener.load_balancer.metrics.counts.silently_dropped_flows.inc();
            CloseReason::IdleTimeout
        }
    };
    flow.finish(reason);
}

//! Flows of target groups of the type `alb`: the client's connection itself is
//! handed over to the application load balancer of this process.
//!
//! ELB page: "Use an Application Load Balancer as a target of a Network Load
//! Balancer". The client's address is preserved, as it always is with such
//! targets, and no byte passes through a second socket. What the network load
//! balancer does to a flow it still does: it counts it, and forgets it when it
//! idles too long; then whatever comes from either side is answered with a RST.
//! When the group's weight has become 0, it resets the flow.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    Handover, Shared,
    flow::{Flow, Route},
};
use crate::{
    client_socket::{ClientSocket, FirstEnd, FlowWatch},
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
    let serving = match handover.hand_over(address, socket, flow.open.client) {
        Ok(serving) => serving,
        Err(socket) => return flow.refuse(socket.into_tcp(), CloseReason::ConnectFailed),
    };
    shared.tracker.spawn(serving);
    let counts = &flow.open.listener.load_balancer.metrics.counts;
    let reason = tokio::select! {
        biased;
        () = watch.ended() => match watch.first_end() {
            Some(FirstEnd::ClientFin) => CloseReason::ClientFin,
            Some(FirstEnd::ClientReset) => CloseReason::ClientReset,
            Some(FirstEnd::ClientError) => CloseReason::ClientError,
            Some(FirstEnd::ServerFin) | None if shared.terminated.is_cancelled() => CloseReason::Shutdown,
            Some(FirstEnd::ServerFin) | None => CloseReason::TargetFin,
        },
        () = route.chosen.closed.cut() => {
            watch.cut();
            counts.tcp_elb_reset_count.inc();
            CloseReason::Removed
        }
        () = watch.idle(flow.open.listener.idle_timeout) => {
            watch.expire();
            counts.silently_dropped_flows.inc();
            CloseReason::IdleTimeout
        }
    };
    flow.finish(reason);
}

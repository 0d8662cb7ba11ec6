//! How a flow ends: what the two sides see on the wire, what is counted and logged.
//!
//! ELB pages: "Listeners for your Network Load Balancers" (idle timeout),
//! "Health checks" (connection termination), "`CloudWatch` metrics for your
//! Network Load Balancer". A FIN and a RST of one side are passed on to the
//! other. A flow that idled too long is forgotten in silence; one that the load
//! balancer ends is reset on both sides.

use std::net::SocketAddr;

use tokio::{net::TcpStream, time::Instant};

use super::{Shared, flow::Flow};
use crate::{
    access_log::{FlowRecord, TlsConnectionRecord},
    flow::CloseReason,
    tls::accept::HandshakeError,
    tunnel::{self, Side, reset},
};

impl Flow {
    /// Ends a flow that has a target, or seems to. `interrupted` says why, if the load balancer ended it.
    pub(super) fn end(
        self,
        reason: &tunnel::CloseReason,
        interrupted: CloseReason,
        (client, target): (TcpStream, Option<TcpStream>),
        shared: &Shared,
    ) {
        let counts = &self.open.listener.load_balancer.metrics.counts;
        let connections = 1 + u64::from(target.is_some());
        let reason = match reason {
            tunnel::CloseReason::Closed { first: Side::Client } => CloseReason::ClientFin,
            tunnel::CloseReason::Closed { first: Side::Target } => CloseReason::TargetFin,
            tunnel::CloseReason::Failed { side, error } => {
                tracing::debug!(%error, client = %self.open.client, ?side, "flow broke");
                reset(client);
                target.map(reset).unwrap_or_default();
                match (side, reason.reset_by()) {
                    (Side::Client, Some(_)) => CloseReason::ClientReset,
                    (Side::Target, Some(_)) => CloseReason::TargetReset,
                    (side, None) => {
                        // Nobody's RST was passed on: both are the load balancer's.
                        counts.tcp_elb_reset_count.inc_by(connections);
                        match side {
                            Side::Client => CloseReason::ClientError,
                            Side::Target => CloseReason::TargetError,
                        }
                    }
                }
            }
            tunnel::CloseReason::IdleTimeout => {
                counts.silently_dropped_flows.inc();
                shared.forgotten.forget(client);
                if let Some(target) = target {
                    shared.forgotten.forget(target);
                }
                CloseReason::IdleTimeout
            }
            tunnel::CloseReason::Terminated => {
                counts.tcp_elb_reset_count.inc_by(connections);
                reset(client);
                target.map(reset).unwrap_or_default();
                interrupted
            }
        };
        self.finish(reason);
    }

    /// Ends a flow that got no target: the client is reset.
    pub(super) fn refuse(self, client: TcpStream, reason: CloseReason) {
        tracing::debug!(client = %self.open.client, target = ?self.target(), reason = reason.as_str(), "flow refused");
        self.open.listener.load_balancer.metrics.counts.tcp_elb_reset_count.inc();
        reset(client);
        self.finish(reason);
    }

    /// The target that was chosen.
    fn target(&self) -> Option<SocketAddr> {
        self.open.target.get().map(|(_, target)| target.addr())
    }

    /// Counts and logs a flow that has ended.
    pub(super) fn finish(self, reason: CloseReason) {
        let now = Instant::now();
        let open = &self.open;
        open.settle(now);
        let (received_bytes, sent_bytes) = open.bytes();
        let lasted = now.saturating_duration_since(open.begun);
        let time = open.begun_at + lasted;
        let load_balancer = &open.listener.load_balancer;
        if let Some(log) = &load_balancer.flow_log {
            log.record(&FlowRecord {
                protocol: open.listener.protocol,
                time,
                elb: &load_balancer.log_name,
                listener: &open.listener.id,
                client: open.client,
                destination: open.local,
                target: self.target(),
                target_group_arn: self.group.as_ref().map(|group| group.arn.as_str()),
                connection_time: lasted,
                connect_time: self.connect_time,
                received_bytes,
                sent_bytes,
                close_reason: reason,
                flow_creation_time: open.begun_at,
            });
        }
        if let (Some(log), Some(facts)) = (&load_balancer.access_log, &self.tls) {
            let info = open.tls.get();
            let failed = facts.failed.as_ref();
            let chosen = info.map(|info| info.chosen_certificate.as_deref());
            log.record(&TlsConnectionRecord {
                time,
                elb: &load_balancer.log_name,
                listener: &open.listener.id,
                client: open.client,
                destination: open.local,
                connection_time: lasted,
                tls_handshake_time: facts.handshake_time,
                received_bytes,
                sent_bytes,
                incoming_tls_alert: failed.and_then(HandshakeError::alert),
                chosen_cert_arn: chosen
                    .unwrap_or_else(|| failed.and_then(|failed| failed.chosen_certificate())),
                tls_cipher: info.map(|info| info.cipher),
                tls_protocol: info.map(|info| info.protocol),
                tls_keyexchange: info.map(|info| info.key_exchange),
                domain_name: facts.request.server_name.as_deref().map(str::as_bytes),
                alpn_fe_protocol: info.and_then(|info| info.alpn).map(str::as_bytes),
                alpn_be_protocol: facts.target_alpn.as_deref(),
                alpn_client_preference_list: &facts.request.alpn,
                tls_connection_creation_time: open.begun_at,
            });
        }
        self.active.close(reason);
    }
}

//! What is counted of Network Load Balancers.
//!
//! ELB page: "`CloudWatch` metrics for your Network Load Balancer". The names are
//! those of `AWS/NetworkELB` after `albeit_network_`: several of them mean
//! something else for an Application Load Balancer. Not here: what only the
//! kernel sees (`ProcessedPackets`, `PeakPacketsPerSecond`), what a query over
//! time gives (`PeakBytesPerSecond`), and what has no counterpart (zones,
//! security groups, load balancer capacity units, UDP and QUIC).

use std::sync::Arc;

use prometheus::{Opts, Registry};

use super::{
    Counter, Gauge,
    families::{APPLICATION, Handle, help, metrics},
};
use crate::flow::{CloseReason, Protocol};

/// Where `CloudWatch` keeps the metrics of Network Load Balancers.
const NETWORK: &str = "AWS/NetworkELB";

metrics! {
    /// What is counted per Network Load Balancer, without a further label.
    CountFamilies => NetworkCounts, labels ["load_balancer"], twins in NETWORK;
    active_flow_count: Gauge = "albeit_network_active_flow_count", "flows",
        Some("ActiveFlowCount"), "Flows from clients to targets that have not ended yet.";
    active_flow_count_tcp: Gauge = "albeit_network_active_flow_count_tcp", "flows",
        Some("ActiveFlowCount_TCP"), "Flows of TCP listeners that have not ended yet.";
    active_flow_count_tls: Gauge = "albeit_network_active_flow_count_tls", "flows",
        Some("ActiveFlowCount_TLS"), "Flows of TLS listeners that have not ended yet.";
    new_flow_count: Counter = "albeit_network_new_flow_count_total", "flows",
        Some("NewFlowCount"), "Flows that began.";
    new_flow_count_tcp: Counter = "albeit_network_new_flow_count_tcp_total", "flows",
        Some("NewFlowCount_TCP"), "Flows of TCP listeners that began.";
    new_flow_count_tls: Counter = "albeit_network_new_flow_count_tls_total", "flows",
        Some("NewFlowCount_TLS"), "Flows of TLS listeners that began.";
    rejected_flow_count: Counter = "albeit_network_rejected_flow_count_total", "flows",
        Some("RejectedFlowCount"), "Flows that the load balancer refused to begin.";
    rejected_flow_count_tcp: Counter = "albeit_network_rejected_flow_count_tcp_total", "flows",
        Some("RejectedFlowCount_TCP"), "Flows that a TCP listener refused to begin.";
    processed_bytes: Counter = "albeit_network_processed_bytes_total", "bytes",
        Some("ProcessedBytes"),
        "Bytes of payload passed on in both directions; TCP/IP headers, which ELB counts, are not known here.";
    processed_bytes_tcp: Counter = "albeit_network_processed_bytes_tcp_total", "bytes",
        Some("ProcessedBytes_TCP"), "Bytes of payload passed on in both directions by TCP listeners.";
    processed_bytes_tls: Counter = "albeit_network_processed_bytes_tls_total", "bytes",
        Some("ProcessedBytes_TLS"),
        "Bytes of payload, in clear text, passed on in both directions by TLS listeners.";
    tcp_client_reset_count: Counter = "albeit_network_tcp_client_reset_count_total", "resets",
        Some("TCP_Client_Reset_Count"), "Flows that a reset of the client's connection ended.";
    tcp_target_reset_count: Counter = "albeit_network_tcp_target_reset_count_total", "resets",
        Some("TCP_Target_Reset_Count"), "Flows that a reset of the target's connection ended.";
    tcp_elb_reset_count: Counter = "albeit_network_tcp_elb_reset_count_total", "resets",
        Some("TCP_ELB_Reset_Count"),
        "Connections that the load balancer reset of its own accord, not to pass on a reset.";
    port_allocation_error_count: Counter = "albeit_network_port_allocation_error_count_total", "errors",
        Some("PortAllocationErrorCount"),
        "Connections to targets that failed because no source port or address was free.";
    client_tls_negotiation_error_count: Counter =
        "albeit_network_client_tls_negotiation_error_count_total", "handshakes",
        Some("ClientTLSNegotiationErrorCount"),
        "TLS handshakes begun by clients that did not end in a session.";
    target_tls_negotiation_error_count: Counter =
        "albeit_network_target_tls_negotiation_error_count_total", "handshakes",
        Some("TargetTLSNegotiationErrorCount"),
        "TLS handshakes with targets that did not end in a session, health checks not counted.";
    silently_dropped_flows: Counter = "albeit_network_silently_dropped_flows_total", "flows",
        None, "Flows cut without a FIN or a reset, as ELB cuts those that idle.";
    flow_log_lines_dropped: Counter = "albeit_flow_log_lines_dropped_total", "lines",
        None, "Flow log lines lost because the queue was full or the log could not be written.";
    flow_log_write_errors: Counter = "albeit_flow_log_write_errors_total", "errors",
        None, "Failed attempts to write the flow log.";
}

metrics! {
    /// What is counted per Network Load Balancer and close reason.
    CloseFamilies => FlowCloseMetrics, labels ["load_balancer", "reason"], twins in NETWORK;
    flows_closed: Counter = "albeit_network_flows_closed_total", "flows",
        None, "Flows that ended, by the close reason of the flow log.";
}

metrics! {
    /// What is counted per Network Load Balancer and target group, besides the host counts.
    NetworkTargetGroupFamilies => NetworkTargetGroupMetrics, labels ["load_balancer", "target_group"],
        twins in NETWORK;
    unhealthy_routing_flow_count: Counter = "albeit_network_unhealthy_routing_flow_count_total", "flows",
        Some("UnhealthyRoutingFlowCount"),
        "Flows routed by fail open, because too few targets were healthy.";
}

metrics! {
    /// What is counted per listener that reads proxy protocol headers.
    ProxyProtocolFamilies => ProxyProtocolMetrics, labels ["load_balancer", "listener"];
    malformed: Counter = "albeit_proxy_protocol_malformed_total", "connections",
        None, "Connections closed because their proxy protocol header could not be read.";
    missing: Counter = "albeit_proxy_protocol_missing_total", "connections",
        None, "Connections closed because they began without a proxy protocol header.";
    untrusted: Counter = "albeit_proxy_protocol_untrusted_total", "connections",
        None, "Connections whose peer is none of those that may send a proxy protocol header.";
    timeout: Counter = "albeit_proxy_protocol_timeout_total", "connections",
        None, "Connections closed because their proxy protocol header did not come in time.";
}

/// The families of Network Load Balancers.
#[derive(Debug)]
pub(super) struct NetworkFamilies {
    counts: CountFamilies,
    closed: CloseFamilies,
}

impl NetworkFamilies {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self { counts: CountFamilies::register(registry)?, closed: CloseFamilies::register(registry)? })
    }

    pub(super) fn resolve(&self, log_name: &str) -> NetworkLoadBalancerMetrics {
        let closed = |reason: &CloseReason| self.closed.resolve([log_name, reason.as_str()]);
        NetworkLoadBalancerMetrics {
            counts: self.counts.resolve([log_name]),
            closed: CloseReason::ALL.iter().map(closed).collect(),
        }
    }
}

/// What is counted per Network Load Balancer.
#[derive(Debug)]
pub struct NetworkLoadBalancerMetrics {
    /// The series without a further label.
    pub counts: NetworkCounts,
    /// By discriminant of the reason.
    closed: Box<[FlowCloseMetrics]>,
}

impl NetworkLoadBalancerMetrics {
    /// Counts a flow that begins, and counts it as active until the result is dropped.
    #[must_use]
    pub fn begin_flow(self: &Arc<Self>, protocol: Protocol) -> ActiveFlow {
        let counts = &self.counts;
        let (new, active) = match protocol {
            Protocol::Tcp => (&counts.new_flow_count_tcp, &counts.active_flow_count_tcp),
            Protocol::Tls => (&counts.new_flow_count_tls, &counts.active_flow_count_tls),
        };
        for counter in [&counts.new_flow_count, new] {
            counter.inc();
        }
        for gauge in [&counts.active_flow_count, active] {
            gauge.inc();
        }
        ActiveFlow { metrics: Arc::clone(self), protocol }
    }

    /// Counts a flow that is refused: it never began, so it is neither new nor closed.
    pub fn reject_flow(&self, protocol: Protocol) {
        self.counts.rejected_flow_count.inc();
        match protocol {
            Protocol::Tcp => self.counts.rejected_flow_count_tcp.inc(),
            // ELB has no such metric.
            Protocol::Tls => {}
        }
    }

    /// Counts bytes that were passed on, in either direction.
    pub fn count_bytes(&self, protocol: Protocol, bytes: u64) {
        self.counts.processed_bytes.inc_by(bytes);
        match protocol {
            Protocol::Tcp => self.counts.processed_bytes_tcp.inc_by(bytes),
            Protocol::Tls => self.counts.processed_bytes_tls.inc_by(bytes),
        }
    }

    /// Handles of the flows that were closed for this reason.
    #[must_use]
    pub fn closed(&self, reason: CloseReason) -> Option<&FlowCloseMetrics> {
        self.closed.get(usize::from(reason as u8))
    }

    /// Counts the reason, and the metrics of ELB that follow from it.
    fn count_closed(&self, reason: CloseReason) {
        if let Some(closed) = self.closed(reason) {
            closed.flows_closed.inc();
        }
        let counts = &self.counts;
        match reason {
            CloseReason::ClientReset => counts.tcp_client_reset_count.inc(),
            CloseReason::TargetReset => counts.tcp_target_reset_count.inc(),
            CloseReason::PortAllocationError => counts.port_allocation_error_count.inc(),
            CloseReason::ClientTlsError => counts.client_tls_negotiation_error_count.inc(),
            CloseReason::TargetTlsError => counts.target_tls_negotiation_error_count.inc(),
            _ => {}
        }
    }
}

/// Counts a flow as active until it is dropped.
#[derive(Debug)]
pub struct ActiveFlow {
    metrics: Arc<NetworkLoadBalancerMetrics>,
    protocol: Protocol,
}

impl ActiveFlow {
    /// Ends the flow: counts the reason and what follows from it (`TCP_Client_Reset_Count`,
    /// `TCP_Target_Reset_Count`, `PortAllocationErrorCount`, the TLS negotiation errors). Resets made by
    /// the load balancer and silent drops are counted by whoever makes them. A guard that is dropped
    /// without it counts no reason.
    pub fn close(self, reason: CloseReason) {
        self.metrics.count_closed(reason);
    }
}

impl Drop for ActiveFlow {
    fn drop(&mut self) {
        let counts = &self.metrics.counts;
        counts.active_flow_count.dec();
        match self.protocol {
            Protocol::Tcp => counts.active_flow_count_tcp.dec(),
            Protocol::Tls => counts.active_flow_count_tls.dec(),
        }
    }
}

#[cfg(test)]
mod tests;

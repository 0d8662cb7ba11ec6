//! Health checks in the health check logs of the load balancers that use a group.
//!
//! ELB page: "Health check logs for your Application Load Balancer". A check of
//! a group that several load balancers use is in the log of each that has one.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    access_log::{HealthCheckRecord, Sink, health_check::ReasonCode},
    health::Outcome,
    model::{HealthCheck, HealthCheckProtocol, target_group::ProtocolVersion},
};

/// Where the health checks of one load balancer's target groups are logged.
#[derive(Debug, Clone)]
pub struct HealthCheckLog {
    /// The log.
    pub sink: Arc<Sink>,
    /// Address of this load balancer node.
    pub node: IpAddr,
}

/// All health check logs, by load balancer's log name (`app/NAME/ID`).
#[derive(Debug, Clone, Default)]
pub struct HealthCheckLogs(pub HashMap<String, HealthCheckLog>);

/// A check that was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checked {
    pub(super) begun: SystemTime,
    pub(super) latency: Duration,
    /// Where it went.
    pub(super) addr: SocketAddr,
    pub(super) outcome: Outcome,
    /// `type` of the log: how the check was spoken.
    pub(super) kind: &'static str,
}

/// `type` of checks with these settings: `http`, `https`, `h2` or `grpc`.
pub(super) const fn kind(settings: &HealthCheck) -> &'static str {
    match (settings.protocol_version, settings.protocol) {
        (ProtocolVersion::Grpc, _) => "grpc",
        (ProtocolVersion::Http2, _) => "h2",
        (ProtocolVersion::Http1, HealthCheckProtocol::Https) => "https",
        (ProtocolVersion::Http1, HealthCheckProtocol::Http) => "http",
        (ProtocolVersion::Http1, HealthCheckProtocol::Tcp) => "tcp",
    }
}

impl HealthCheckLogs {
    /// Writes a check of the target group `group` into the logs of `load_balancers`.
    pub(super) fn write(&self, checked: &Checked, group: &str, load_balancers: &[String]) {
        let (status_code, reason_code) = verdict(checked.outcome);
        for elb in load_balancers {
            let Some(log) = self.0.get(elb) else { continue };
            log.sink.record(&HealthCheckRecord {
                kind: checked.kind,
                time: checked.begun,
                latency: checked.latency,
                target_addr: checked.addr,
                target_group_id: group,
                status_code,
                reason_code,
                elb,
                ip_address: log.node,
            });
        }
    }
}

/// What the log says of an outcome: the target's code, and why the check failed.
const fn verdict(outcome: Outcome) -> (Option<u16>, Option<ReasonCode>) {
    match outcome {
        Outcome::Passed(code) => (Some(code), None),
        Outcome::Connected => (None, None),
        Outcome::ResponseCodeMismatch(code @ 500..=599) => (Some(code), Some(ReasonCode::TargetError)),
        Outcome::ResponseCodeMismatch(code) => (Some(code), Some(ReasonCode::ResponseCodeMismatch)),
        Outcome::GrpcUnexpectedStatus(code) => (Some(code), Some(ReasonCode::GrpcUnexpectedStatus)),
        Outcome::GrpcStatusHeaderEmpty => (None, Some(ReasonCode::GrpcStatusHeaderEmpty)),
        Outcome::Timeout => (None, Some(ReasonCode::TimedOut)),
        Outcome::ConnectionReset => (None, Some(ReasonCode::ConnectionReset)),
        Outcome::TargetError => (None, Some(ReasonCode::TargetError)),
        Outcome::InternalError => (None, Some(ReasonCode::InternalError)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_code_and_reason() {
        for (outcome, code, reason) in [
            (Outcome::Passed(204), Some(204), None),
            (Outcome::Connected, None, None),
            (Outcome::ResponseCodeMismatch(404), Some(404), Some("ResponseCodeMismatch")),
            (Outcome::ResponseCodeMismatch(499), Some(499), Some("ResponseCodeMismatch")),
            (Outcome::ResponseCodeMismatch(500), Some(500), Some("TargetError")),
            (Outcome::ResponseCodeMismatch(599), Some(599), Some("TargetError")),
            (Outcome::Timeout, None, Some("TimedOut")),
            (Outcome::GrpcUnexpectedStatus(14), Some(14), Some("GRPCUnexpectedStatus")),
            (Outcome::GrpcStatusHeaderEmpty, None, Some("GRPCStatusHeaderEmpty")),
            (Outcome::ConnectionReset, None, Some("ConnectionReset")),
            (Outcome::TargetError, None, Some("TargetError")),
            (Outcome::InternalError, None, Some("InternalError")),
        ] {
            let (status_code, reason_code) = verdict(outcome);
            assert_eq!((status_code, reason_code.map(ReasonCode::as_str)), (code, reason), "{outcome:?}");
        }
    }
}

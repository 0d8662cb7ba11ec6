//! The facts of one health check, as the health check log tells them.
//!
//! ELB page: "Health check log entries". One record is written per check.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, SystemTime},
};

use super::format::{Line, LogRecord};

/// One health check log entry. The numbers are the fields' positions in the line.
#[derive(Debug, Clone)]
pub struct HealthCheckRecord<'a> {
    /// 1 `type`: `http`, `https`, `h2` or `grpc`.
    pub kind: &'a str,
    /// 2 `time`: when the check began.
    pub time: SystemTime,
    /// 3 `latency`: how long it took. Written in seconds with nine decimals.
    pub latency: Duration,
    /// 4 `target_addr`: the target, with the port that was checked.
    pub target_addr: SocketAddr,
    /// 5 `target_group_id`: name of the target group.
    pub target_group_id: &'a str,
    /// 7 `status_code`: what the target answered. `None` without an answer.
    pub status_code: Option<u16>,
    /// 8 `reason_code` of a check that failed. `None` is 6 `status` `PASS`.
    pub reason_code: Option<ReasonCode>,
    /// 9 `elb`: `app/NAME/ID`.
    pub elb: &'a str,
    /// 10 `ip_address`: of this load balancer node.
    pub ip_address: IpAddr,
}

/// `reason_code`: why a health check failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasonCode {
    /// No connection or no answer within the health check timeout.
    TimedOut,
    /// The target refused, reset or closed the connection before a valid answer.
    ConnectionReset,
    /// The answer's code is not among those that the matcher accepts.
    ResponseCodeMismatch,
    /// The target answered 5XX.
    TargetError,
    /// The load balancer could not make the check.
    InternalError,
    /// A gRPC target's `grpc-status` has no value.
    GrpcStatusHeaderEmpty,
    /// A gRPC target's `grpc-status` is not among those that the matcher accepts.
    GrpcUnexpectedStatus,
}

impl ReasonCode {
    /// The code in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TimedOut => "TimedOut",
            Self::ConnectionReset => "ConnectionReset",
            Self::ResponseCodeMismatch => "ResponseCodeMismatch",
            Self::TargetError => "TargetError",
            Self::InternalError => "InternalError",
            Self::GrpcStatusHeaderEmpty => "GRPCStatusHeaderEmpty",
            Self::GrpcUnexpectedStatus => "GRPCUnexpectedStatus",
        }
    }
}

impl LogRecord for HealthCheckRecord<'_> {
    fn write(&self, line: &mut Line<'_>) {
        line.word("type", Some(self.kind));
        line.timestamp("time", self.time);
        line.latency::<9>("latency", Some(self.latency));
        line.display("target_addr", Some(self.target_addr));
        line.bare("target_group_id", Some(self.target_group_id.as_bytes()));
        line.word("status", Some(if self.reason_code.is_none() { "PASS" } else { "FAIL" }));
        line.number("status_code", self.status_code.map(u64::from));
        line.word("reason_code", self.reason_code.map(ReasonCode::as_str));
        line.word("elb", Some(self.elb));
        line.display("ip_address", Some(self.ip_address));
    }
}

#[cfg(test)]
mod tests;

//! The facts of one flow through a Network Load Balancer, as the flow log tells
//! them.
//!
//! ELB has no such log: it writes nothing about TCP listeners. The entries begin
//! like those of its access log for TLS listeners ([`super::tls_connection`]) and
//! add what one needs to know who ended a flow, and why. One record is written
//! per flow, when it has ended, also if no target took it.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use super::format::{Line, LogRecord};
use crate::flow::{CloseReason, Protocol};

/// Version of the entries. New fields come last and change the number after the dot.
const VERSION: &str = "1.0";

/// One flow log entry. The numbers are the fields' positions in the line; 2 is `version`, `1.0`.
#[derive(Debug, Clone)]
pub struct FlowRecord<'a> {
    /// 1 `type`: what the listener speaks, `tcp` or `tls`.
    pub protocol: Protocol,
    /// 3 `time`: when the flow ended. ISO 8601 with microseconds, as in the access log of an
    /// Application Load Balancer.
    pub time: SystemTime,
    /// 4 `elb`: `net/NAME/ID`.
    pub elb: &'a str,
    /// 5 `listener`: the last part of the listener's ARN, without the slashes before it.
    pub listener: &'a str,
    /// 6 `client:port`: of the client; from its proxy protocol header if the listener reads one.
    pub client: SocketAddr,
    /// 7 `destination:port`: the load balancer's end of the client's connection.
    pub destination: SocketAddr,
    /// 8 `target:port`: the target that was chosen, whether it could be reached or not. `None` without one.
    pub target: Option<SocketAddr>,
    /// 9 `target_group_arn`: of the target group that the flow was meant for. `None` if it ended before.
    pub target_group_arn: Option<&'a str>,
    /// 10 `connection_time`: from start to closure of the flow. Written in whole milliseconds, cut.
    pub connection_time: Duration,
    /// 11 `connect_time`: what the TCP connection to the target took, in milliseconds. `None` if there was
    /// none.
    pub connect_time: Option<Duration>,
    /// 12 `received_bytes`: from the client; of a TLS listener after decryption.
    pub received_bytes: u64,
    /// 13 `sent_bytes`: to the client; of a TLS listener before encryption.
    pub sent_bytes: u64,
    /// 14 `close_reason`.
    pub close_reason: CloseReason,
    /// 15 `flow_creation_time`: when the client's connection was accepted, like 3.
    pub flow_creation_time: SystemTime,
}

impl LogRecord for FlowRecord<'_> {
    fn write(&self, line: &mut Line<'_>) {
        line.word("type", Some(self.protocol.as_str()));
        line.word("version", Some(VERSION));
        line.timestamp("time", self.time);
        line.word("elb", Some(self.elb));
        line.word("listener", Some(self.listener));
        line.display("client:port", Some(self.client));
        line.display("destination:port", Some(self.destination));
        line.display("target:port", self.target);
        line.word("target_group_arn", self.target_group_arn);
        line.milliseconds("connection_time", Some(self.connection_time));
        line.milliseconds("connect_time", self.connect_time);
        line.number("received_bytes", Some(self.received_bytes));
        line.number("sent_bytes", Some(self.sent_bytes));
        line.word("close_reason", Some(self.close_reason.as_str()));
        line.timestamp("flow_creation_time", self.flow_creation_time);
    }
}

#[cfg(test)]
mod tests;

//! The logs of load balancers: what is written about requests, connections,
//! health checks and flows, how, and where to.
//!
//! ELB pages: "Access logs", "Connection logs" and "Health check logs for your
//! Application Load Balancer", "Access logs for your Network Load Balancer".
//! [`record`], [`connection`] and [`health_check`] hold the facts of an
//! Application, [`tls_connection`] and [`flow`] those of a Network Load Balancer, [`mod@format`] makes the lines (pure), [`sink`] takes lines
//! without ever holding up a request and writes them in the background, to files
//! as ELB lays them out.

pub mod bucket;
pub mod connection;
mod entry;
mod file;
pub mod flow;
pub mod format;
pub mod health_check;
pub mod meaning;
pub mod recent;
pub mod record;
pub mod sink;
pub mod tls_connection;

pub use self::{
    connection::ConnectionRecord,
    flow::FlowRecord,
    format::LogRecord,
    health_check::HealthCheckRecord,
    recent::Recent,
    record::Record,
    sink::{LogMetrics, Sink, SinkSettings},
    tls_connection::TlsConnectionRecord,
};
use crate::model::load_balancer::LoadBalancerType;

/// Which log a file or a line belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogKind {
    /// `access_logs.s3` of an Application Load Balancer: one line for each request.
    Access,
    /// `connection_logs.s3`: one line for each connection attempt.
    Connection,
    /// `health_check_logs.s3`: one line for each health check.
    HealthCheck,
    /// `access_logs.s3` of a Network Load Balancer: one line for each connection to a TLS listener.
    TlsConnection,
    /// `albeit.flow_logs.s3`: one line for each flow. ELB has no such log.
    Flow,
}

impl LogKind {
    /// The logs that a load balancer of this type has.
    #[must_use]
    pub const fn of(load_balancer: LoadBalancerType) -> &'static [Self] {
        match load_balancer {
            LoadBalancerType::Application => &[Self::Access, Self::Connection, Self::HealthCheck],
            LoadBalancerType::Network => &[Self::TlsConnection, Self::Flow],
        }
    }

    /// What people call it: `access log`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access | Self::TlsConnection => "access log",
            Self::Connection => "connection log",
            Self::HealthCheck => "health check log",
            Self::Flow => "flow log",
        }
    }

    /// The attribute with the directory that plays the bucket's part.
    #[must_use]
    pub const fn bucket_attribute(self) -> &'static str {
        match self {
            Self::Access | Self::TlsConnection => "access_logs.s3.bucket",
            Self::Connection => "connection_logs.s3.bucket",
            Self::HealthCheck => "health_check_logs.s3.bucket",
            Self::Flow => "albeit.flow_logs.s3.bucket",
        }
    }

    /// What file names begin with.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Access | Self::TlsConnection => "",
            Self::Connection => "conn_log_",
            Self::HealthCheck => "health_check_log_",
            Self::Flow => "flow_log_",
        }
    }

    /// The middle of the test file's name and text.
    const fn camel_case(self) -> &'static str {
        match self {
            Self::Access | Self::TlsConnection => "AccessLog",
            Self::Connection => "ConnectionLog",
            Self::HealthCheck => "HealthCheckLog",
            Self::Flow => "FlowLog",
        }
    }

    /// Whether file names tell the node's address: those of an Application Load Balancer do.
    const fn names_node(self) -> bool {
        match self {
            Self::Access | Self::Connection | Self::HealthCheck => true,
            Self::TlsConnection | Self::Flow => false,
        }
    }
}

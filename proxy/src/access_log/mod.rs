//! The three logs of an Application Load Balancer: what is written about
//! requests, connections and health checks, how, and where to.
//!
//! ELB pages: "Access logs", "Connection logs" and "Health check logs for your
//! Application Load Balancer". [`record`], [`connection`] and [`health_check`]
//! hold the facts, [`mod@format`] makes the lines (pure), [`sink`] takes lines
//! without ever holding up a request and writes them in the background, to files
//! as ELB lays them out.

pub mod bucket;
pub mod connection;
mod entry;
mod file;
pub mod format;
pub mod health_check;
pub mod record;
pub mod sink;

pub use self::{
    connection::ConnectionRecord,
    format::LogRecord,
    health_check::HealthCheckRecord,
    record::Record,
    sink::{LogMetrics, Sink, SinkSettings},
};

/// Which log a file or a line belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogKind {
    /// `access_logs.s3`: one line for each request.
    Access,
    /// `connection_logs.s3`: one line for each connection attempt.
    Connection,
    /// `health_check_logs.s3`: one line for each health check.
    HealthCheck,
}

impl LogKind {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Access, Self::Connection, Self::HealthCheck];

    /// What people call it: `access log`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access log",
            Self::Connection => "connection log",
            Self::HealthCheck => "health check log",
        }
    }

    /// The attribute with the directory that plays the bucket's part.
    #[must_use]
    pub const fn bucket_attribute(self) -> &'static str {
        match self {
            Self::Access => "access_logs.s3.bucket",
            Self::Connection => "connection_logs.s3.bucket",
            Self::HealthCheck => "health_check_logs.s3.bucket",
        }
    }

    /// What file names begin with.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Access => "",
            Self::Connection => "conn_log_",
            Self::HealthCheck => "health_check_log_",
        }
    }

    /// The middle of the test file's name and text.
    const fn camel_case(self) -> &'static str {
        match self {
            Self::Access => "AccessLog",
            Self::Connection => "ConnectionLog",
            Self::HealthCheck => "HealthCheckLog",
        }
    }
}

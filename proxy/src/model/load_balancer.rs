//! Load balancer: the unit that owns listeners and load balancer attributes.
//!
//! ELB pages: "Application Load Balancers", "Edit attributes for your
//! Application Load Balancer".

use std::time::Duration;

use super::{Listener, LogDestination, TargetGroupIndex};

/// The kind of a load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadBalancerType {
    /// Layer 7: HTTP and HTTPS listeners, rules.
    Application,
    /// Layer 4: TCP and TLS listeners.
    Network,
}

impl LoadBalancerType {
    /// The name in the `ELBv2` API: `application` or `network`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Network => "network",
        }
    }
}

/// A load balancer with its listeners.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadBalancer {
    /// Name: up to 32 letters, digits and hyphens.
    pub name: String,
    /// Application or network.
    pub kind: LoadBalancerType,
    /// Full ARN-like name.
    pub arn: String,
    /// `app/NAME/ID` or `net/NAME/ID`: field `elb` of the logs, dimension of the metrics.
    pub log_name: String,
    /// The name that stands for the DNS name, used as Host for HTTP/1.0 requests without one.
    pub dns_name: String,
    /// Load balancer attributes, typed.
    pub attributes: LoadBalancerAttributes,
    /// Listeners, in the order of the file.
    pub listeners: Vec<Listener>,
}

impl LoadBalancer {
    /// The target groups that its rules forward to, some more than once.
    pub fn target_groups(&self) -> impl Iterator<Item = TargetGroupIndex> {
        self.listeners.iter().flat_map(|listener| {
            let rules = listener.rules.iter().map(|rule| &rule.actions);
            rules.chain([&listener.default_actions]).flat_map(|actions| actions.action.target_groups())
        })
    }
}

/// The load balancer attributes that steer the data plane, typed.
///
/// Keys, ranges and defaults are in the table of [`super::attributes`].
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an attribute of ELB that is on or off")]
pub struct LoadBalancerAttributes {
    /// `idle_timeout.timeout_seconds`: 1–4000 s, default 60 s.
    pub idle_timeout: Duration,
    /// `client_keep_alive.seconds`: 60–604800 s, default 3600 s.
    pub client_keep_alive: Duration,
    /// `access_logs.s3.*`: where access logs go, if enabled.
    pub access_logs: Option<LogDestination>,
    /// `albeit.access_logs.stdout.enabled`: also write access log lines to standard output. Default false.
    pub access_logs_stdout: bool,
    /// `albeit.access_logs.format`, of all logs: default the ELB format.
    pub log_format: LogFormat,
    /// `albeit.access_logs.files`, of all logs: default as ELB delivers them.
    pub log_files: LogFiles,
    /// `connection_logs.s3.*`: where connection logs go, if enabled.
    pub connection_logs: Option<LogDestination>,
    /// `health_check_logs.s3.*`: where health check logs go, if enabled.
    pub health_check_logs: Option<LogDestination>,
    /// `albeit.flow_logs.s3.*`: where flow logs go, if enabled.
    pub flow_logs: Option<LogDestination>,
    /// `albeit.flow_logs.stdout.enabled`: also write flow log lines to standard output. Default false.
    pub flow_logs_stdout: bool,
    /// `routing.http.desync_mitigation_mode`. Default defensive.
    pub desync_mitigation_mode: DesyncMitigationMode,
    /// `routing.http.drop_invalid_header_fields.enabled`. Default false.
    pub drop_invalid_header_fields: bool,
    /// `routing.http.x_amzn_tls_version_and_cipher_suite.enabled`. Default false.
    pub x_amzn_tls_headers: bool,
    /// `routing.http.xff_header_processing.mode`. Default append.
    pub xff_header_processing: XffHeaderProcessing,
    /// `routing.http.xff_client_port.enabled`. Default false.
    pub xff_client_port: bool,
    /// `routing.http.preserve_host_header.enabled`. Default false.
    pub preserve_host_header: bool,
    /// `routing.http2.enabled`. Default true.
    pub http2: bool,
}

impl Default for LoadBalancerAttributes {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(60),
            client_keep_alive: Duration::from_secs(3600),
            access_logs: None,
            access_logs_stdout: false,
            log_format: LogFormat::Elb,
            log_files: LogFiles::Elb,
            connection_logs: None,
            health_check_logs: None,
            flow_logs: None,
            flow_logs_stdout: false,
            desync_mitigation_mode: DesyncMitigationMode::Defensive,
            drop_invalid_header_fields: false,
            x_amzn_tls_headers: false,
            xff_header_processing: XffHeaderProcessing::Append,
            xff_client_port: false,
            preserve_host_header: false,
            http2: true,
        }
    }
}

/// `routing.http.xff_header_processing.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XffHeaderProcessing {
    /// The client's address is appended.
    Append,
    /// The header passes unchanged.
    Preserve,
    /// The header is removed.
    Remove,
}

/// `routing.http.desync_mitigation_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DesyncMitigationMode {
    /// `monitor`: every class passes.
    Monitor,
    /// `defensive`, the default: severe requests are blocked, ambiguous ones close both connections.
    Defensive,
    /// `strictest`: only compliant requests pass.
    Strictest,
}

/// `albeit.access_logs.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// `elb`, the default: the space-separated fields of ELB's logs.
    Elb,
    /// `json`: one JSON object a line, keys as ELB names the fields.
    Json,
}

/// `albeit.access_logs.files`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFiles {
    /// `elb`, the default: gzip, there when their five minutes are over.
    Elb,
    /// `plain`: text, written line by line.
    Plain,
}

//! Target group: protocol, health check, attributes and the registered targets.
//!
//! ELB pages: "Target groups for your Application Load Balancers", "Health
//! checks for Application Load Balancer target groups", and the same for
//! Network Load Balancers.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use http::StatusCode;

use super::{
    fault::FaultAttributes,
    security_policy::{self, SecurityPolicy},
};

/// The protocol spoken with targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetGroupProtocol {
    /// Clear text.
    Http,
    /// HTTP over TLS; certificates of targets are not validated.
    Https,
    /// The bytes of a flow as they are (network load balancer).
    Tcp,
    /// The bytes of a flow in TLS; certificates of targets are not validated (network load balancer).
    Tls,
}

impl TargetGroupProtocol {
    /// The name in the `ELBv2` API: `HTTP`, `HTTPS`, `TCP`, `TLS`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// Whether connections to targets are TLS.
    #[must_use]
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Tls)
    }
}

/// `HealthCheckProtocol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthCheckProtocol {
    /// A request in clear text.
    Http,
    /// A request over TLS.
    Https,
    /// A connection that is established (network load balancers).
    Tcp,
}

impl HealthCheckProtocol {
    /// The name in the `ELBv2` API: `HTTP`, `HTTPS`, `TCP`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
            Self::Tcp => "TCP",
        }
    }
}

/// `TargetType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TargetType {
    /// `ip`, the default: addresses, and host names that are resolved to addresses.
    #[default]
    Ip,
    /// `alb`: one application load balancer of the same configuration.
    Alb,
}

impl TargetType {
    /// The name in the `ELBv2` API: `ip`, `alb`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Alb => "alb",
        }
    }
}

/// `ProtocolVersion`: how requests are spoken to the targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProtocolVersion {
    /// `HTTP1`: HTTP/1.1, the default.
    #[default]
    Http1,
    /// `HTTP2`: HTTP/2; in clear text by prior knowledge.
    Http2,
    /// `GRPC`: gRPC over HTTP/2.
    Grpc,
}

impl ProtocolVersion {
    /// The name in the `ELBv2` API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP1",
            Self::Http2 => "HTTP2",
            Self::Grpc => "GRPC",
        }
    }
}

/// A target group as configured.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetGroup {
    /// Name: up to 32 letters, digits and hyphens; the key of its runtime state.
    pub name: String,
    /// Full ARN-like name, `target_group_arn` of the access log.
    pub arn: String,
    /// `targetgroup/NAME/ID`, dimension of the metrics.
    pub metric_name: String,
    /// Protocol towards the targets.
    pub protocol: TargetGroupProtocol,
    /// What kind of targets it has.
    pub target_type: TargetType,
    /// Protocol version towards the targets.
    pub protocol_version: ProtocolVersion,
    /// Port of targets that name none, as configured.
    pub port: Option<u16>,
    /// Health check settings.
    pub health_check: HealthCheck,
    /// Target group attributes, typed.
    pub attributes: TargetGroupAttributes,
    /// Registered targets.
    pub targets: Vec<Target>,
}

/// A registered target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// IP address, or a host name that is resolved again and again.
    pub id: TargetId,
    /// Port; the target group's port unless the target names its own.
    pub port: u16,
}

/// How a target is named.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TargetId {
    /// Target type `ip`.
    Ip(IpAddr),
    /// A DNS name: every address it resolves to becomes a target of its own.
    HostName(String),
    /// Target type `alb`: an application load balancer of the same configuration by its name, and where the
    /// listener with the target's port is reached from this host.
    LoadBalancer {
        /// Name.
        name: String,
        /// The listener's address; loopback if it listens on all.
        address: IpAddr,
    },
}

/// Health check settings of a target group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// `HealthCheckProtocol`: default HTTP, for network load balancers TCP, but HTTP for targets of type `alb`.
    pub protocol: HealthCheckProtocol,
    /// How checks are spoken: as requests are.
    pub protocol_version: ProtocolVersion,
    /// `HealthCheckPath`. Default `/`, with gRPC `/AWS.ALB/healthcheck`; checks over TCP have none.
    pub path: String,
    /// `HealthCheckPort`: `None` is `traffic-port`, the default.
    pub port: Option<u16>,
    /// `HealthCheckIntervalSeconds`: 5–300 s, default 30 s.
    pub interval: Duration,
    /// `HealthCheckTimeoutSeconds`: 2–120 s, default 5 s; for network load balancers 6 s with HTTP, 10 s with
    /// HTTPS and TCP. Smaller than the interval, with TCP not greater.
    pub timeout: Duration,
    /// `HealthyThresholdCount`: 2–10, default 5.
    pub healthy_threshold: u8,
    /// `UnhealthyThresholdCount`: 2–10, default 2.
    pub unhealthy_threshold: u8,
    /// `Matcher.HttpCode`, default `200`, for network load balancers `200-399`; or `Matcher.GrpcCode`, default
    /// `12`. Checks over TCP have none.
    pub matcher: Matcher,
    /// TLS of checks with protocol HTTPS: that of the load balancer's connections to targets.
    pub tls_policy: &'static SecurityPolicy,
    /// Checks begin with a PROXY protocol header, command LOCAL: `proxy_protocol_v2.enabled` of the group.
    pub proxy_protocol_v2: bool,
    /// `Host` of checks over HTTP or HTTPS when it is not the target: address and port of the first listener of
    /// the network load balancer that forwards to the group. ELB writes the address of its node there, so a
    /// check names its own end of the connection if this is a listener on all addresses.
    pub host: Option<SocketAddr>,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            protocol: HealthCheckProtocol::Http,
            protocol_version: ProtocolVersion::Http1,
            path: "/".to_owned(),
            port: None,
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            healthy_threshold: 5,
            unhealthy_threshold: 2,
            matcher: Matcher::default(),
            tls_policy: &security_policy::OLDEST,
            proxy_protocol_v2: false,
            host: None,
        }
    }
}

impl HealthCheck {
    /// The defaults for a group of a network load balancer whose checks speak `protocol`.
    #[must_use]
    pub fn for_network(protocol: HealthCheckProtocol) -> Self {
        let timeout = match protocol {
            HealthCheckProtocol::Http => Duration::from_secs(6),
            HealthCheckProtocol::Https | HealthCheckProtocol::Tcp => Duration::from_secs(10),
        };
        Self { protocol, timeout, matcher: Matcher(vec![(200, 399)]), ..Self::default() }
    }

    /// The defaults for a group of this protocol version.
    #[must_use]
    pub fn for_version(version: ProtocolVersion) -> Self {
        let common = Self { protocol_version: version, ..Self::default() };
        match version {
            ProtocolVersion::Http1 | ProtocolVersion::Http2 => common,
            ProtocolVersion::Grpc => {
                Self { path: "/AWS.ALB/healthcheck".to_owned(), matcher: Matcher(vec![(12, 12)]), ..common }
            }
        }
    }
}

/// HTTP or gRPC codes that count as a passed health check: a list of inclusive ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matcher(pub Vec<(u16, u16)>);

impl Default for Matcher {
    fn default() -> Self {
        Self(vec![(200, 200)])
    }
}

impl Matcher {
    /// Whether `status` counts as healthy.
    #[must_use]
    pub fn matches(&self, status: StatusCode) -> bool {
        self.matches_code(status.as_u16())
    }

    /// Whether an HTTP or gRPC code counts as healthy.
    #[must_use]
    pub fn matches_code(&self, code: u16) -> bool {
        self.0.iter().any(|&(low, high)| (low..=high).contains(&code))
    }
}

/// `load_balancing.algorithm.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `round_robin`, the default.
    RoundRobin,
    /// `least_outstanding_requests`.
    LeastOutstandingRequests,
    /// `weighted_random`.
    WeightedRandom {
        /// `load_balancing.algorithm.anomaly_mitigation`. Default off.
        anomaly_mitigation: bool,
    },
    /// What network load balancers do: a hash of protocol, addresses, ports and sequence number of a flow.
    FlowHash,
}

/// `stickiness.type` with what belongs to it, when `stickiness.enabled` is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stickiness {
    /// `lb_cookie` with `stickiness.lb_cookie.duration_seconds` (1–604800 s, default 86400 s).
    LbCookie {
        /// How long a cookie binds a client to its target.
        duration: Duration,
    },
    /// `app_cookie`.
    AppCookie {
        /// `stickiness.app_cookie.cookie_name`.
        cookie_name: String,
        /// `stickiness.app_cookie.duration_seconds` (1–604800 s, default 86400 s).
        duration: Duration,
    },
    /// `source_ip`, of network load balancers: the client's address leads to the same target.
    SourceIp,
}

/// `minimum_healthy_targets` of `target_group_health.unhealthy_state_routing` (below either, the group
/// fails open) or of `target_group_health.dns_failover` (below either, a zone would leave DNS).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinimumHealthyTargets {
    /// `.count`: at least this many healthy targets. Default 1; 0 is `off`.
    pub count: u32,
    /// `.percentage`: at least this share of the registered targets. Default off.
    pub percentage: Option<u8>,
}

/// The target group attributes that steer the data plane, typed.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetGroupAttributes {
    /// `deregistration_delay.timeout_seconds`: 0–3600 s, default 300 s.
    pub deregistration_delay: Duration,
    /// `stickiness.*`; `None` is off, the default.
    pub stickiness: Option<Stickiness>,
    /// `load_balancing.algorithm.type`.
    pub algorithm: Algorithm,
    /// `slow_start.duration_seconds`: 30–900 s; `None` is off, the default.
    pub slow_start: Option<Duration>,
    /// Threshold of fail-open routing.
    pub unhealthy_state_routing: MinimumHealthyTargets,
    /// Threshold of the metrics `HealthyStateDNS` and `UnhealthyStateDNS`; there is no DNS to fail over.
    pub dns_failover: MinimumHealthyTargets,
    /// What only groups of network load balancers have.
    pub flows: FlowAttributes,
    /// `albeit.retry_closed_reused_connection`: the keep-alive race gets a second attempt. Default false.
    pub retry_closed_reused_connection: bool,
    /// `albeit.fault.*`: what the group does wrong on purpose. Default nothing.
    pub faults: FaultAttributes,
}

/// The attributes of target groups that only network load balancers know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an attribute of ELB that is on or off")]
pub struct FlowAttributes {
    /// `deregistration_delay.connection_termination.enabled`: flows are cut at the end of the delay. Default
    /// false.
    pub deregistration_termination: bool,
    /// `preserve_client_ip.enabled`: targets see the client's address. Default false; for target type `alb`
    /// always true.
    pub preserve_client_ip: bool,
    /// `proxy_protocol_v2.enabled`: a PROXY protocol header goes before the first byte. Default false.
    pub proxy_protocol_v2: bool,
    /// `target_health_state.unhealthy.connection_termination.enabled`: flows are reset when their target turns
    /// unhealthy. Default true.
    pub unhealthy_termination: bool,
    /// `target_health_state.unhealthy.draining_interval_seconds`: 0–360000 s, default 0 s.
    pub unhealthy_draining_interval: Duration,
}

impl Default for FlowAttributes {
    fn default() -> Self {
        Self {
            deregistration_termination: false,
            preserve_client_ip: false,
            proxy_protocol_v2: false,
            unhealthy_termination: true,
            unhealthy_draining_interval: Duration::ZERO,
        }
    }
}

impl MinimumHealthyTargets {
    /// Whether `healthy` of `registered` targets are enough.
    #[must_use]
    pub fn is_met(self, healthy: usize, registered: usize) -> bool {
        let too_few = u32::try_from(healthy).is_ok_and(|healthy| healthy < self.count);
        let too_small_a_share = self.percentage.is_some_and(|percentage| {
            healthy.saturating_mul(100) < registered.saturating_mul(percentage.into())
        });
        !too_few && !too_small_a_share
    }
}

impl Default for TargetGroupAttributes {
    fn default() -> Self {
        Self {
            deregistration_delay: Duration::from_secs(300),
            stickiness: None,
            algorithm: Algorithm::RoundRobin,
            slow_start: None,
            unhealthy_state_routing: MinimumHealthyTargets { count: 1, percentage: None },
            dns_failover: MinimumHealthyTargets { count: 1, percentage: None },
            flows: FlowAttributes::default(),
            retry_closed_reused_connection: false,
            faults: FaultAttributes::default(),
        }
    }
}

//! Target group: protocol, health check, attributes and the registered targets.
//!
//! ELB pages: "Target groups for your Application Load Balancers", "Health
//! checks for Application Load Balancer target groups".

use std::{net::IpAddr, time::Duration};

use http::StatusCode;

use super::security_policy::{self, SecurityPolicy};

/// The protocol spoken with targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetGroupProtocol {
    /// Clear text.
    Http,
    /// TLS; certificates of targets are not validated.
    Https,
}

impl TargetGroupProtocol {
    /// The name in the `ELBv2` API: `HTTP`, `HTTPS`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
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
}

/// Health check settings of a target group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// `HealthCheckProtocol`: HTTP or HTTPS, default HTTP.
    pub protocol: TargetGroupProtocol,
    /// How checks are spoken: as requests are.
    pub protocol_version: ProtocolVersion,
    /// `HealthCheckPath`. Default `/`, with gRPC `/AWS.ALB/healthcheck`.
    pub path: String,
    /// `HealthCheckPort`: `None` is `traffic-port`, the default.
    pub port: Option<u16>,
    /// `HealthCheckIntervalSeconds`: 5–300 s, default 30 s.
    pub interval: Duration,
    /// `HealthCheckTimeoutSeconds`: 2–120 s, default 5 s; smaller than the interval.
    pub timeout: Duration,
    /// `HealthyThresholdCount`: 2–10, default 5.
    pub healthy_threshold: u8,
    /// `UnhealthyThresholdCount`: 2–10, default 2.
    pub unhealthy_threshold: u8,
    /// `Matcher.HttpCode`, default `200`; or `Matcher.GrpcCode`, default `12`.
    pub matcher: Matcher,
    /// TLS of checks with protocol HTTPS: that of the load balancer's connections to targets.
    pub tls_policy: &'static SecurityPolicy,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            protocol: TargetGroupProtocol::Http,
            protocol_version: ProtocolVersion::Http1,
            path: "/".to_owned(),
            port: None,
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            healthy_threshold: 5,
            unhealthy_threshold: 2,
            matcher: Matcher::default(),
            tls_policy: &security_policy::OLDEST,
        }
    }
}

impl HealthCheck {
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
        }
    }
}

//! From attribute values to the typed attributes that the data plane reads.

use std::path::Path;

use super::AttributeValues;
use crate::model::{
    LogDestination,
    load_balancer::{LoadBalancerAttributes, XffHeaderProcessing},
    target_group::{Algorithm, MinimumHealthyTargets, Stickiness, TargetGroupAttributes},
};

impl LoadBalancerAttributes {
    /// Reads the values; a bucket is a directory relative to `base`.
    #[must_use]
    pub fn from_values(values: &AttributeValues, base: &Path) -> Self {
        let access_logs = values.flag("access_logs.s3.enabled").then(|| LogDestination {
            bucket: base.join(values.text("access_logs.s3.bucket")),
            prefix: values.text("access_logs.s3.prefix").trim_matches('/').to_owned(),
        });
        Self {
            idle_timeout: values.seconds("idle_timeout.timeout_seconds"),
            client_keep_alive: values.seconds("client_keep_alive.seconds"),
            access_logs,
            access_logs_stdout: values.flag("albeit.access_logs.stdout.enabled"),
            xff_header_processing: match values.text("routing.http.xff_header_processing.mode") {
                "preserve" => XffHeaderProcessing::Preserve,
                "remove" => XffHeaderProcessing::Remove,
                _ => XffHeaderProcessing::Append,
            },
            xff_client_port: values.flag("routing.http.xff_client_port.enabled"),
            preserve_host_header: values.flag("routing.http.preserve_host_header.enabled"),
            http2: values.flag("routing.http2.enabled"),
        }
    }
}

impl From<&AttributeValues> for TargetGroupAttributes {
    fn from(values: &AttributeValues) -> Self {
        const FAIL_OPEN: &str = "target_group_health.unhealthy_state_routing.minimum_healthy_targets";
        let stickiness = values.flag("stickiness.enabled").then(|| Stickiness::LbCookie {
            duration: values.seconds("stickiness.lb_cookie.duration_seconds"),
        });
        Self {
            deregistration_delay: values.seconds("deregistration_delay.timeout_seconds"),
            stickiness,
            algorithm: match values.text("load_balancing.algorithm.type") {
                "least_outstanding_requests" => Algorithm::LeastOutstandingRequests,
                _ => Algorithm::RoundRobin,
            },
            minimum_healthy_targets: MinimumHealthyTargets {
                count: values.number(&format!("{FAIL_OPEN}.count")).unwrap_or(1),
                percentage: values
                    .number(&format!("{FAIL_OPEN}.percentage"))
                    .and_then(|percentage| u8::try_from(percentage).ok()),
            },
        }
    }
}

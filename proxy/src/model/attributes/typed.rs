//! From attribute values to the typed attributes that the data plane reads.

use std::{num::NonZeroU32, path::Path, time::Duration};

use http::{HeaderName, HeaderValue, header};

use super::{AttributeValues, values::cidrs};
use crate::model::{
    LoadBalancerType, LogDestination,
    fault::{Fault, FaultAttributes},
    listener::{ListenerAttributes, ProxyProtocol, ProxyProtocolMode, RequestHeaderNames},
    load_balancer::{DesyncMitigationMode, LoadBalancerAttributes, LogFiles, LogFormat, XffHeaderProcessing},
    target_group::{Algorithm, FlowAttributes, MinimumHealthyTargets, Stickiness, TargetGroupAttributes},
};

impl LoadBalancerAttributes {
    /// Reads the values; a bucket is a directory relative to `base`.
    #[must_use]
    pub fn from_values(values: &AttributeValues, base: &Path) -> Self {
        let logs = |name: &str| {
            values.flag(&format!("{name}.s3.enabled")).then(|| LogDestination {
                bucket: base.join(values.text(&format!("{name}.s3.bucket"))),
                prefix: values.text(&format!("{name}.s3.prefix")).trim_matches('/').to_owned(),
            })
        };
        Self {
            idle_timeout: values.seconds("idle_timeout.timeout_seconds"),
            client_keep_alive: values.seconds("client_keep_alive.seconds"),
            access_logs: logs("access_logs"),
            access_logs_stdout: values.flag("albeit.access_logs.stdout.enabled"),
            log_format: match values.text("albeit.access_logs.format") {
                "json" => LogFormat::Json,
                _ => LogFormat::Elb,
            },
            log_files: match values.text("albeit.access_logs.files") {
                "plain" => LogFiles::Plain,
                _ => LogFiles::Elb,
            },
            connection_logs: logs("connection_logs"),
            health_check_logs: logs("health_check_logs"),
            flow_logs: logs("albeit.flow_logs"),
            flow_logs_stdout: values.flag("albeit.flow_logs.stdout.enabled"),
            desync_mitigation_mode: match values.text("routing.http.desync_mitigation_mode") {
                "monitor" => DesyncMitigationMode::Monitor,
                "strictest" => DesyncMitigationMode::Strictest,
                _ => DesyncMitigationMode::Defensive,
            },
            drop_invalid_header_fields: values.flag("routing.http.drop_invalid_header_fields.enabled"),
            x_amzn_tls_headers: values.flag("routing.http.x_amzn_tls_version_and_cipher_suite.enabled"),
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
        let minimum = |action: &str| {
            let number = |unit: &str| {
                values.number(&format!("target_group_health.{action}.minimum_healthy_targets.{unit}"))
            };
            MinimumHealthyTargets {
                count: number("count").unwrap_or(0),
                percentage: number("percentage").and_then(|percentage| u8::try_from(percentage).ok()),
            }
        };
        let stickiness = values.flag("stickiness.enabled").then(|| match values.text("stickiness.type") {
            "app_cookie" => Stickiness::AppCookie {
                cookie_name: values.text("stickiness.app_cookie.cookie_name").to_owned(),
                duration: values.seconds("stickiness.app_cookie.duration_seconds"),
            },
            "source_ip" => Stickiness::SourceIp,
            _ => Stickiness::LbCookie { duration: values.seconds("stickiness.lb_cookie.duration_seconds") },
        });
        let slow_start = values.seconds("slow_start.duration_seconds");
        Self {
            deregistration_delay: values.seconds("deregistration_delay.timeout_seconds"),
            stickiness,
            algorithm: match values.text("load_balancing.algorithm.type") {
                _ if values.kind() == LoadBalancerType::Network => Algorithm::FlowHash,
                "least_outstanding_requests" => Algorithm::LeastOutstandingRequests,
                "weighted_random" => Algorithm::WeightedRandom {
                    anomaly_mitigation: values.text("load_balancing.algorithm.anomaly_mitigation") == "on",
                },
                _ => Algorithm::RoundRobin,
            },
            slow_start: (!slow_start.is_zero()).then_some(slow_start),
            unhealthy_state_routing: minimum("unhealthy_state_routing"),
            dns_failover: minimum("dns_failover"),
            flows: FlowAttributes {
                deregistration_termination: values
                    .flag("deregistration_delay.connection_termination.enabled"),
                preserve_client_ip: values.flag("preserve_client_ip.enabled"),
                proxy_protocol_v2: values.flag("proxy_protocol_v2.enabled"),
                unhealthy_termination: values
                    .flag("target_health_state.unhealthy.connection_termination.enabled"),
                unhealthy_draining_interval: values
                    .seconds("target_health_state.unhealthy.draining_interval_seconds"),
            },
            retry_closed_reused_connection: values.flag("albeit.retry_closed_reused_connection"),
            faults: FaultAttributes::from(values),
        }
    }
}

impl From<&AttributeValues> for FaultAttributes {
    fn from(values: &AttributeValues) -> Self {
        let delay_percent = values.percent(Fault::Delay.key());
        let delay =
            Duration::from_millis(values.number("albeit.fault.delay.milliseconds").unwrap_or(0).into());
        let abort_percent = values.percent(Fault::Abort.key());
        let abort_status = values.text("albeit.fault.abort.status_code").parse().ok();
        Self {
            delay_percent,
            // What belongs to a fault that is off says nothing.
            delay: if delay_percent > 0 { delay } else { Duration::ZERO },
            abort_percent,
            abort_status: abort_status.filter(|_| abort_percent > 0),
            reset_percent: values.percent(Fault::Reset.key()),
            black_hole_percent: values.percent(Fault::BlackHole.key()),
            close_reused_connection_percent: values.percent(Fault::CloseReusedConnection.key()),
            slow_target: values.number(Fault::SlowTarget.key()).and_then(NonZeroU32::new),
            deregistration_propagation: values.seconds(Fault::DeregistrationPropagation.key()),
            cookie_clock_skew: values.signed(Fault::CookieClockSkew.key()),
        }
    }
}

impl From<&AttributeValues> for ListenerAttributes {
    fn from(values: &AttributeValues) -> Self {
        const PREFIX: &str = "routing.http.response.";
        let inserted = INSERTED.iter().filter_map(|(key, name)| {
            let value = values.text(&format!("{PREFIX}{key}.header_value"));
            // A value was checked to be visible ASCII.
            let value = HeaderValue::from_str(value).ok().filter(|value| !value.is_empty())?;
            Some((name.clone(), value))
        });
        // An empty value brings the default back.
        let name = |key: &str| {
            let given = values.given(&format!("routing.http.request.{key}.header_name"));
            given.filter(|name| !name.is_empty()).map(str::to_owned)
        };
        let usual = RequestHeaderNames::default();
        Self {
            tcp_idle_timeout: values.seconds("tcp.idle_timeout.seconds"),
            proxy_protocol: ProxyProtocol {
                mode: match values.text("albeit.proxy_protocol") {
                    "optional" => ProxyProtocolMode::Optional,
                    "required" => ProxyProtocolMode::Required,
                    _ => ProxyProtocolMode::Off,
                },
                trusted: cidrs(values.text("albeit.proxy_protocol.trusted_cidrs")).flatten().collect(),
            },
            server_header: values.flag("routing.http.response.server.enabled"),
            inserted_headers: inserted.collect(),
            header_names: RequestHeaderNames {
                mtls_serial_number: name("x_amzn_mtls_clientcert_serial_number")
                    .unwrap_or(usual.mtls_serial_number),
                mtls_issuer: name("x_amzn_mtls_clientcert_issuer").unwrap_or(usual.mtls_issuer),
                mtls_subject: name("x_amzn_mtls_clientcert_subject").unwrap_or(usual.mtls_subject),
                mtls_validity: name("x_amzn_mtls_clientcert_validity").unwrap_or(usual.mtls_validity),
                mtls_leaf: name("x_amzn_mtls_clientcert_leaf").unwrap_or(usual.mtls_leaf),
                mtls_clientcert: name("x_amzn_mtls_clientcert").unwrap_or(usual.mtls_clientcert),
                tls_version: name("x_amzn_tls_version").unwrap_or(usual.tls_version),
                tls_cipher_suite: name("x_amzn_tls_cipher_suite").unwrap_or(usual.tls_cipher_suite),
            },
        }
    }
}

/// Response headers that a listener can insert, by the middle part of their attribute's key.
const INSERTED: [(&str, HeaderName); 10] = [
    ("strict_transport_security", header::STRICT_TRANSPORT_SECURITY),
    ("access_control_allow_origin", header::ACCESS_CONTROL_ALLOW_ORIGIN),
    ("access_control_allow_methods", header::ACCESS_CONTROL_ALLOW_METHODS),
    ("access_control_allow_headers", header::ACCESS_CONTROL_ALLOW_HEADERS),
    ("access_control_allow_credentials", header::ACCESS_CONTROL_ALLOW_CREDENTIALS),
    ("access_control_expose_headers", header::ACCESS_CONTROL_EXPOSE_HEADERS),
    ("access_control_max_age", header::ACCESS_CONTROL_MAX_AGE),
    ("content_security_policy", header::CONTENT_SECURITY_POLICY),
    ("x_content_type_options", header::X_CONTENT_TYPE_OPTIONS),
    ("x_frame_options", header::X_FRAME_OPTIONS),
];

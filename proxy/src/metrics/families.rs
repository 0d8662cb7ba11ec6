//! The tables of metrics, one per set of labels, and the macro that turns a row into a field.

use std::time::SystemTime;

use prometheus::{CounterVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

use super::{Counter, FloatCounter, Gauge, Histogram};

/// Upper bounds of the response time buckets, in seconds: up to ELB's idle timeout of 4000 s.
const SECONDS: [f64; 16] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 4000.0];

/// A handle, and the family of series it is one of.
pub(super) trait Handle: Sized {
    /// One metric with its labels still open.
    type Family;
    fn register(registry: &Registry, opts: Opts, labels: &[&str]) -> Result<Self::Family, prometheus::Error>;
    fn of(family: &Self::Family, labels: &[&str]) -> Self;
}

impl Handle for Counter {
    type Family = IntCounterVec;

    fn register(
        registry: &Registry,
        opts: Opts,
        labels: &[&str],
    ) -> Result<IntCounterVec, prometheus::Error> {
        let family = IntCounterVec::new(opts, labels)?;
        registry.register(Box::new(family.clone()))?;
        Ok(family)
    }

    fn of(family: &IntCounterVec, labels: &[&str]) -> Self {
        family.with_label_values(labels)
    }
}

impl Handle for FloatCounter {
    type Family = CounterVec;

    fn register(registry: &Registry, opts: Opts, labels: &[&str]) -> Result<CounterVec, prometheus::Error> {
        let family = CounterVec::new(opts, labels)?;
        registry.register(Box::new(family.clone()))?;
        Ok(family)
    }

    fn of(family: &CounterVec, labels: &[&str]) -> Self {
        family.with_label_values(labels)
    }
}

impl Handle for Gauge {
    type Family = IntGaugeVec;

    fn register(registry: &Registry, opts: Opts, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        let family = IntGaugeVec::new(opts, labels)?;
        registry.register(Box::new(family.clone()))?;
        Ok(family)
    }

    fn of(family: &IntGaugeVec, labels: &[&str]) -> Self {
        family.with_label_values(labels)
    }
}

impl Handle for Histogram {
    type Family = HistogramVec;

    fn register(registry: &Registry, opts: Opts, labels: &[&str]) -> Result<HistogramVec, prometheus::Error> {
        let opts = HistogramOpts { common_opts: opts, buckets: SECONDS.to_vec() };
        let family = HistogramVec::new(opts, labels)?;
        registry.register(Box::new(family.clone()))?;
        Ok(family)
    }

    fn of(family: &HistogramVec, labels: &[&str]) -> Self {
        family.with_label_values(labels)
    }
}

/// The help text: what is counted, the unit, and the metric's twin in `CloudWatch`.
pub(super) fn help(text: &str, unit: &str, namespace: &str, twin: Option<&str>) -> String {
    match twin {
        Some(twin) => format!("{text} Unit: {unit}. CloudWatch: {namespace} {twin}"),
        None => format!("{text} Unit: {unit}. CloudWatch: none"),
    }
}

/// Where `CloudWatch` keeps the twins of a table that names no other namespace.
pub(super) const APPLICATION: &str = "AWS/ApplicationELB";

/// Row: `field: Handle = "name", "unit", Some("CloudWatch twin") | None, "help";`.
///
/// Makes the struct of families, private to this module's users, and the public struct of handles,
/// whose fields carry the help text as documentation.
macro_rules! metrics {
    (
        $(#[$doc:meta])*
        $families:ident => $handles:ident, labels $labels:expr $(, twins in $namespace:expr)?;
        $($field:ident: $handle:ident = $name:literal, $unit:literal, $twin:expr, $help:literal;)+
    ) => {
        #[derive(Debug)]
        pub(super) struct $families {
            $($field: <$handle as Handle>::Family,)+
        }

        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $handles {
            $(#[doc = $help] #[doc = concat!("Unit: ", $unit, ". Series: `", $name, "`.")]
            pub $field: $handle,)+
        }

        impl $families {
            /// Registers every family of the table.
            pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
                let namespace = [$($namespace,)? APPLICATION][0];
                Ok(Self {
                    $($field: $handle::register(
                        registry,
                        Opts::new($name, help($help, $unit, namespace, $twin)),
                        &$labels,
                    )?,)+
                })
            }

            /// The series with these label values.
            pub(super) fn resolve(&self, labels: [&str; $labels.len()]) -> $handles {
                $handles { $($field: $handle::of(&self.$field, &labels),)+ }
            }
        }
    };
}

pub(super) use metrics;

metrics! {
    /// What is counted per load balancer.
    LoadBalancerFamilies => LoadBalancerMetrics, labels ["load_balancer"];
    active_connection_count: Gauge = "albeit_active_connection_count", "connections",
        Some("ActiveConnectionCount"),
        "Open TCP connections from clients to the load balancer plus those from it to targets.";
    new_connection_count: Counter = "albeit_new_connection_count_total", "connections",
        Some("NewConnectionCount"),
        "TCP connections established from clients to the load balancer and from it to targets.";
    rejected_connection_count: Counter = "albeit_rejected_connection_count_total", "connections",
        Some("RejectedConnectionCount"),
        "Connections refused because the load balancer was at its maximum.";
    processed_bytes: Counter = "albeit_processed_bytes_total", "bytes",
        Some("ProcessedBytes"),
        "Bytes of headers and payload in both directions, WebSocket included.";
    ipv6_request_count: Counter = "albeit_ipv6_request_count_total", "requests",
        Some("IPv6RequestCount"), "Requests that came over IPv6.";
    ipv6_processed_bytes: Counter = "albeit_ipv6_processed_bytes_total", "bytes",
        Some("IPv6ProcessedBytes"), "Bytes of headers and payload in both directions, exchanged with clients over IPv6.";
    client_tls_negotiation_error_count: Counter = "albeit_client_tls_negotiation_error_count_total",
        "handshakes", Some("ClientTLSNegotiationErrorCount"),
        "TLS handshakes begun by clients that did not end in a session.";
    httpcode_elb_3xx: Counter = "albeit_httpcode_elb_3xx_count_total", "responses",
        Some("HTTPCode_ELB_3XX_Count"), "Responses 3XX made by the load balancer.";
    httpcode_elb_4xx: Counter = "albeit_httpcode_elb_4xx_count_total", "responses",
        Some("HTTPCode_ELB_4XX_Count"), "Responses 4XX made by the load balancer, 460 included.";
    httpcode_elb_5xx: Counter = "albeit_httpcode_elb_5xx_count_total", "responses",
        Some("HTTPCode_ELB_5XX_Count"), "Responses 5XX made by the load balancer.";
    httpcode_elb_500: Counter = "albeit_httpcode_elb_500_count_total", "responses",
        Some("HTTPCode_ELB_500_Count"), "Responses 500 made by the load balancer.";
    httpcode_elb_502: Counter = "albeit_httpcode_elb_502_count_total", "responses",
        Some("HTTPCode_ELB_502_Count"), "Responses 502 made by the load balancer.";
    httpcode_elb_503: Counter = "albeit_httpcode_elb_503_count_total", "responses",
        Some("HTTPCode_ELB_503_Count"), "Responses 503 made by the load balancer.";
    httpcode_elb_504: Counter = "albeit_httpcode_elb_504_count_total", "responses",
        Some("HTTPCode_ELB_504_Count"), "Responses 504 made by the load balancer.";
    http_fixed_response_count: Counter = "albeit_http_fixed_response_count_total", "responses",
        Some("HTTP_Fixed_Response_Count"), "Fixed-response actions carried out.";
    http_redirect_count: Counter = "albeit_http_redirect_count_total", "responses",
        Some("HTTP_Redirect_Count"), "Redirect actions carried out.";
    http_redirect_url_limit_exceeded_count: Counter =
        "albeit_http_redirect_url_limit_exceeded_count_total", "requests",
        Some("HTTP_Redirect_Url_Limit_Exceeded_Count"),
        "Redirect actions not carried out because the Location would be longer than 8 KB.";
    elb_auth_error: Counter = "albeit_elb_auth_error_total", "authentications",
        Some("ELBAuthError"),
        "Authentications not completed because the identity provider or the load balancer failed.";
    elb_auth_failure: Counter = "albeit_elb_auth_failure_total", "authentications",
        Some("ELBAuthFailure"),
        "Authentications not completed because access was denied or the request was not a valid one.";
    elb_auth_latency: Histogram = "albeit_elb_auth_latency_seconds", "seconds",
        Some("ELBAuthLatency"),
        "Time to ask the identity provider for the ID token and the user's claims, failures included.";
    elb_auth_refresh_token_success: Counter = "albeit_elb_auth_refresh_token_success_total", "refreshes",
        Some("ELBAuthRefreshTokenSuccess"), "Claims refreshed with a refresh token.";
    elb_auth_success: Counter = "albeit_elb_auth_success_total", "authentications",
        Some("ELBAuthSuccess"), "Logins completed, counted when the user's claims are there.";
    elb_auth_user_claims_size_exceeded: Counter =
        "albeit_elb_auth_user_claims_size_exceeded_total", "responses",
        Some("ELBAuthUserClaimsSizeExceeded"),
        "Answers of identity providers whose claims were larger than 11 KB.";
    jwt_validation_success_count: Counter = "albeit_jwt_validation_success_count_total", "requests",
        Some("JWTValidationSuccessCount"), "Requests whose JSON Web Token was valid.";
    jwt_validation_failure_count: Counter = "albeit_jwt_validation_failure_count_total", "requests",
        Some("JWTValidationFailureCount"),
        "Requests refused because their JSON Web Token was not valid or could not be verified.";
    rule_evaluations: Counter = "albeit_rule_evaluations_total", "evaluations",
        Some("RuleEvaluations"), "Rules evaluated while requests were processed.";
    desync_mitigation_mode_non_compliant_request_count: Counter =
        "albeit_desync_mitigation_mode_non_compliant_request_count_total", "requests",
        Some("DesyncMitigationMode_NonCompliant_Request_Count"), "Requests that do not comply with RFC 7230.";
    dropped_invalid_header_request_count: Counter =
        "albeit_dropped_invalid_header_request_count_total", "requests",
        Some("DroppedInvalidHeaderRequestCount"),
        "Requests of which header fields with invalid names were removed.";
    forwarded_invalid_header_request_count: Counter =
        "albeit_forwarded_invalid_header_request_count_total", "requests",
        Some("ForwardedInvalidHeaderRequestCount"),
        "Requests that were accepted with header fields with invalid names.";
    open_websockets: Gauge = "albeit_open_websockets", "connections",
        None, "WebSocket connections that are open now.";
    websockets_closed_by_client: Counter = "albeit_websockets_closed_by_client_total", "connections",
        None, "WebSocket connections that the client ended.";
    websockets_closed_by_target: Counter = "albeit_websockets_closed_by_target_total", "connections",
        None, "WebSocket connections that the target ended.";
    websockets_closed_by_idle_timeout: Counter =
        "albeit_websockets_closed_by_idle_timeout_total", "connections",
        None, "WebSocket connections cut because no byte passed for the idle timeout.";
    websockets_closed_by_deregistration: Counter =
        "albeit_websockets_closed_by_deregistration_total", "connections",
        None, "WebSocket connections cut at the end of their target's deregistration delay.";
    websockets_closed_by_shutdown: Counter = "albeit_websockets_closed_by_shutdown_total", "connections",
        None, "WebSocket connections cut because the load balancer went away.";
    websockets_closed_by_error: Counter = "albeit_websockets_closed_by_error_total", "connections",
        None, "WebSocket connections that a socket error ended on either side.";
    connection_log_lines_dropped: Counter = "albeit_connection_log_lines_dropped_total", "lines",
        None, "Connection log lines lost because the queue was full or the log could not be written.";
    connection_log_write_errors: Counter = "albeit_connection_log_write_errors_total", "errors",
        None, "Failed attempts to write the connection log.";
    health_check_log_lines_dropped: Counter = "albeit_health_check_log_lines_dropped_total", "lines",
        None, "Health check log lines lost because the queue was full or the log could not be written.";
    health_check_log_write_errors: Counter = "albeit_health_check_log_write_errors_total", "errors",
        None, "Failed attempts to write the health check log.";
}

metrics! {
    /// What is counted per load balancer of any type.
    AccessLogFamilies => AccessLogMetrics, labels ["load_balancer"];
    lines_dropped: Counter = "albeit_access_log_lines_dropped_total", "lines",
        None, "Access log lines lost because the queue was full or the log could not be written.";
    write_errors: Counter = "albeit_access_log_write_errors_total", "errors",
        None, "Failed attempts to write the access log.";
}

metrics! {
    /// What is counted per load balancer and target group.
    TargetGroupFamilies => TargetGroupMetrics, labels ["load_balancer", "target_group"];
    request_count: Counter = "albeit_request_count_total", "requests",
        Some("RequestCount"), "Requests for which a target could be chosen.";
    request_count_per_target: FloatCounter = "albeit_request_count_per_target_total", "requests",
        Some("RequestCountPerTarget"),
        "Requests for which a target could be chosen, each divided by the number of targets that shared them.";
    target_connection_error_count: Counter = "albeit_target_connection_error_count_total", "connections",
        Some("TargetConnectionErrorCount"),
        "Connections to targets that could not be established, health checks not counted.";
    target_tls_negotiation_error_count: Counter = "albeit_target_tls_negotiation_error_count_total",
        "handshakes", Some("TargetTLSNegotiationErrorCount"),
        "TLS handshakes with targets that did not end in a session, health checks not counted.";
    grpc_request_count: Counter = "albeit_grpc_request_count_total", "requests",
        Some("GrpcRequestCount"), "gRPC requests for which a target could be chosen.";
    target_response_time: Histogram = "albeit_target_response_time_seconds", "seconds",
        Some("TargetResponseTime"),
        "Time from a request leaving the load balancer until the target began to send response headers.";
    httpcode_target_2xx: Counter = "albeit_httpcode_target_2xx_count_total", "responses",
        Some("HTTPCode_Target_2XX_Count"), "Responses 2XX made by targets.";
    httpcode_target_3xx: Counter = "albeit_httpcode_target_3xx_count_total", "responses",
        Some("HTTPCode_Target_3XX_Count"), "Responses 3XX made by targets.";
    httpcode_target_4xx: Counter = "albeit_httpcode_target_4xx_count_total", "responses",
        Some("HTTPCode_Target_4XX_Count"), "Responses 4XX made by targets.";
    httpcode_target_5xx: Counter = "albeit_httpcode_target_5xx_count_total", "responses",
        Some("HTTPCode_Target_5XX_Count"), "Responses 5XX made by targets.";
    retried_requests: Counter = "albeit_retried_requests_total", "requests", None,
        "Requests sent once more because the pooled connection was closed before an answer.";
    non_sticky_request_count: Counter = "albeit_non_sticky_request_count_total", "requests",
        Some("NonStickyRequestCount"),
        "Requests sent to a newly chosen target because there was no usable sticky session.";
    app_cookie_non_stickiness_count: Counter = "albeit_app_cookie_non_stickiness_count_total", "requests",
        Some("AppCookieNonStickinessCount"),
        "Requests with the load balancer's application-based cookie but without the application's.";
    unhealthy_routing_request_count: Counter = "albeit_unhealthy_routing_request_count_total", "requests",
        Some("UnhealthyRoutingRequestCount"),
        "Requests routed by fail open, because too few targets were healthy.";
    anomalous_host_count: Gauge = "albeit_anomalous_host_count", "targets",
        Some("AnomalousHostCount"), "Targets that fail unlike the others now.";
    mitigated_host_count: Gauge = "albeit_mitigated_host_count", "targets",
        Some("MitigatedHostCount"), "Targets whose share of requests is lowered now.";
    healthy_state_dns: Gauge = "albeit_healthy_state_dns", "zones",
        Some("HealthyStateDNS"), "1 if enough targets are healthy for `target_group_health.dns_failover`.";
    unhealthy_state_dns: Gauge = "albeit_unhealthy_state_dns", "zones",
        Some("UnhealthyStateDNS"), "1 if too few targets are healthy for `target_group_health.dns_failover`.";
    healthy_state_routing: Gauge = "albeit_healthy_state_routing", "zones",
        Some("HealthyStateRouting"),
        "1 if enough targets are healthy for `target_group_health.unhealthy_state_routing`.";
    unhealthy_state_routing: Gauge = "albeit_unhealthy_state_routing", "zones",
        Some("UnhealthyStateRouting"),
        "1 if too few targets are healthy for `target_group_health.unhealthy_state_routing`.";
}

impl TargetGroupFamilies {
    /// Removes the host count series with these label values; a series that is not there is no error.
    pub(super) fn forget_host_counts(&self, labels: [&str; 2]) {
        for family in [
            &self.anomalous_host_count,
            &self.mitigated_host_count,
            &self.healthy_state_dns,
            &self.unhealthy_state_dns,
            &self.healthy_state_routing,
            &self.unhealthy_state_routing,
        ] {
            family.remove_label_values(&labels).unwrap_or_default();
        }
    }
}

metrics! {
    /// What is counted per load balancer of any type and target group.
    HostCountFamilies => HostCountMetrics, labels ["load_balancer", "target_group"],
        twins in "AWS/ApplicationELB and AWS/NetworkELB";
    healthy_host_count: Gauge = "albeit_healthy_host_count", "targets",
        Some("HealthyHostCount"), "Targets that are healthy now.";
    unhealthy_host_count: Gauge = "albeit_unhealthy_host_count", "targets",
        Some("UnHealthyHostCount"), "Targets that are unhealthy now.";
    draining_host_count: Gauge = "albeit_draining_host_count", "targets",
        None, "Targets that are draining now: deregistered, their deregistration delay still running.";
    draining_overdue_host_count: Gauge = "albeit_draining_overdue_host_count", "targets",
        None, "Deregistered targets that have work in flight although their deregistration delay is over.";
}

impl HostCountFamilies {
    /// Removes the series with these label values; a series that is not there is no error.
    pub(super) fn forget(&self, labels: [&str; 2]) {
        for family in [
            &self.healthy_host_count,
            &self.unhealthy_host_count,
            &self.draining_host_count,
            &self.draining_overdue_host_count,
        ] {
            family.remove_label_values(&labels).unwrap_or_default();
        }
    }
}

metrics! {
    /// What is counted per rule, the default rule included.
    RuleFamilies => RuleMetrics, labels ["load_balancer", "listener", "priority"];
    matched_requests: Counter = "albeit_rule_matched_requests_total", "requests",
        None, "Requests that the rule matched.";
}

metrics! {
    /// What is counted per action of the admin API and HTTP status of its answer.
    AdminFamilies => AdminMetrics, labels ["action", "status"];
    actions: Counter = "albeit_admin_actions_total", "actions",
        None, "Actions asked for through the admin API, those refused included.";
}

metrics! {
    /// What is counted per target group and fault that it injects on purpose.
    FaultFamilies => FaultMetrics, labels ["target_group", "fault"];
    enabled: Gauge = "albeit_fault_enabled", "faults",
        None, "1 while `albeit.fault.*` attributes of the target group switch the fault on.";
    injected: Counter = "albeit_fault_injected_total", "faults",
        None, "Requests, flows, responses or deregistrations to which the fault was done.";
}

impl FaultFamilies {
    /// Removes what is no count of the series with these label values; one that is not there is no error.
    pub(super) fn forget(&self, labels: [&str; 2]) {
        self.enabled.remove_label_values(&labels).unwrap_or_default();
    }
}

metrics! {
    /// What is counted once per process.
    ProcessFamilies => ProcessMetrics, labels [""; 0];
    config_reloads: Counter = "albeit_config_reloads_total", "reloads",
        None, "Configuration reloads that took effect.";
    config_reload_failures: Counter = "albeit_config_reload_failures_total", "reloads",
        None, "Configuration reloads refused because the configuration was wrong.";
    upgrades: Counter = "albeit_upgrades_total", "upgrades",
        None, "Times a process took over from another when the program was upgraded, passed on from each to the next.";
    upgrade_failures: Counter = "albeit_upgrade_failures_total", "upgrades",
        None, "Times no other process could take over, and this one went on.";
    panics: Counter = "albeit_panics_total", "panics",
        None, "Panics caught while serving connections. Any value but 0 is a bug.";
    dns_failures: Counter = "albeit_dns_failures_total", "lookups",
        None, "Lookups of target host names that gave no address.";
    early_resets: Counter = "albeit_network_early_resets_total", "connections",
        None, "Connections of idle flows that were reset before their next packet, to make room for others.";
    draining: Gauge = "albeit_draining", "processes",
        None, "1 while the process drains: it takes nothing new, and ends when what it has has ended.";
    drain_deadline: Gauge = "albeit_drain_deadline_timestamp_seconds", "seconds",
        None, "When what is left of a process that drains is cut, in seconds since 1970; 0 before.";
    event_streams_dropped: Counter = "albeit_admin_event_streams_dropped_total", "streams",
        None, "Streams of the dashboard that were cut because their reader was too slow.";
}

impl ProcessMetrics {
    /// Registers the table and resolves its only series.
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(ProcessFamilies::register(registry)?.resolve([]))
    }

    /// The process drains from now on, until `deadline` at the latest.
    pub fn begin_draining(&self, deadline: SystemTime) {
        let seconds = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        self.drain_deadline.set(i64::try_from(seconds).unwrap_or(i64::MAX));
        self.draining.set(1);
    }

    /// Follows the count of connections of idle flows that had to make room for others, which is `displaced` now.
    pub fn follow_early_resets(&self, displaced: u64) {
        self.early_resets.inc_by(displaced.saturating_sub(self.early_resets.get()));
    }
}

metrics! {
    /// What is counted once per process about its traces.
    TraceFamilies => TraceMetrics, labels [""; 0];
    spans_exported: Counter = "albeit_trace_spans_exported_total", "spans",
        None, "Spans that the collector has taken.";
    spans_dropped: Counter = "albeit_trace_spans_dropped_total", "spans",
        None, "Spans lost because the queue was full or the collector did not take them.";
    export_errors: Counter = "albeit_trace_export_errors_total", "errors",
        None, "Failed attempts to send a batch of spans that may pass.";
}

impl TraceMetrics {
    /// Registers the table and resolves its only series.
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(TraceFamilies::register(registry)?.resolve([]))
    }
}

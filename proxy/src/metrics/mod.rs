//! Every metric of the balancer, once: name, unit, labels, help and `CloudWatch` twin.
//!
//! ELB pages: "`CloudWatch` metrics for your Application Load Balancer" and "… for
//! your Network Load Balancer". The tables in `families` and `network` are the
//! only places where a metric is named, besides `process`, which has those of any
//! process. The data plane works on handles resolved at load
//! ([`LoadBalancerMetrics`], [`NetworkLoadBalancerMetrics`],
//! [`TargetGroupMetrics`], [`ProcessMetrics`]): counting is an atomic add.

mod certificates;
mod elb_errors;
mod families;
mod network;
mod process;
mod quantile;

use std::sync::Arc;

use prometheus::{Encoder as _, Registry, TextEncoder};

use self::{
    certificates::CertificateFamilies,
    elb_errors::ElbErrorFamilies,
    families::{
        AccessLogFamilies, AdminFamilies, FaultFamilies, HostCountFamilies, LoadBalancerFamilies,
        RuleFamilies, TargetGroupFamilies,
    },
    network::{NetworkFamilies, NetworkTargetGroupFamilies, ProxyProtocolFamilies},
    process::ProcessUsage,
};
pub use self::{
    certificates::CertificateMetrics,
    elb_errors::{ElbErrorCount, ElbErrorMetrics},
    families::{
        AccessLogMetrics, AdminMetrics, FaultMetrics, HostCountMetrics, LoadBalancerMetrics, ProcessMetrics,
        RuleMetrics, TargetGroupMetrics, TraceMetrics,
    },
    network::{
        ActiveFlow, FlowCloseMetrics, NetworkCounts, NetworkLoadBalancerMetrics, NetworkTargetGroupMetrics,
        ProxyProtocolMetrics,
    },
    quantile::Buckets,
};

/// A value that only grows.
pub type Counter = prometheus::IntCounter;
/// A value that only grows, by fractions too.
pub type FloatCounter = prometheus::Counter;
/// A value that goes up and down.
pub type Gauge = prometheus::IntGauge;
/// A distribution over fixed buckets.
pub type Histogram = prometheus::Histogram;

/// All metrics of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    usage: ProcessUsage,
    process: ProcessMetrics,
    traces: TraceMetrics,
    load_balancers: LoadBalancerFamilies,
    elb_errors: ElbErrorFamilies,
    certificates: CertificateFamilies,
    target_groups: TargetGroupFamilies,
    host_counts: HostCountFamilies,
    network_load_balancers: NetworkFamilies,
    network_target_groups: NetworkTargetGroupFamilies,
    proxy_protocol: ProxyProtocolFamilies,
    access_logs: AccessLogFamilies,
    rules: RuleFamilies,
    admin: AdminFamilies,
    faults: FaultFamilies,
}

impl Metrics {
    /// A registry with every metric in it.
    ///
    /// # Errors
    /// When two metrics of the tables share a name or one is malformed; the tests rule that out.
    pub fn try_new() -> Result<Arc<Self>, prometheus::Error> {
        let registry = Registry::new();
        Ok(Arc::new(Self {
            usage: ProcessUsage::register(&registry)?,
            process: ProcessMetrics::register(&registry)?,
            traces: TraceMetrics::register(&registry)?,
            load_balancers: LoadBalancerFamilies::register(&registry)?,
            elb_errors: ElbErrorFamilies::register(&registry)?,
            certificates: CertificateFamilies::register(&registry)?,
            target_groups: TargetGroupFamilies::register(&registry)?,
            host_counts: HostCountFamilies::register(&registry)?,
            network_load_balancers: NetworkFamilies::register(&registry)?,
            network_target_groups: NetworkTargetGroupFamilies::register(&registry)?,
            proxy_protocol: ProxyProtocolFamilies::register(&registry)?,
            access_logs: AccessLogFamilies::register(&registry)?,
            rules: RuleFamilies::register(&registry)?,
            admin: AdminFamilies::register(&registry)?,
            faults: FaultFamilies::register(&registry)?,
            registry,
        }))
    }

    /// Metrics without a load balancer: reloads, panics, DNS.
    #[must_use]
    pub const fn process(&self) -> &ProcessMetrics {
        &self.process
    }

    /// Metrics of the export of traces.
    #[must_use]
    pub const fn traces(&self) -> &TraceMetrics {
        &self.traces
    }

    /// Handles of the Application Load Balancer with this log name (`app/NAME/ID`). Resolve once, at load.
    #[must_use]
    pub fn load_balancer(&self, log_name: &str) -> Arc<LoadBalancerMetrics> {
        self.show_access_log(log_name);
        Arc::new(self.load_balancers.resolve([log_name]))
    }

    /// Handles of the errors that this cause made an Application Load Balancer answer. Resolve once, at load.
    #[must_use]
    pub fn elb_errors(&self, log_name: &str, cause: &str, status: u16) -> ElbErrorMetrics {
        self.elb_errors.resolve([log_name, cause, &status.to_string()])
    }

    /// What made an Application Load Balancer answer with an error at least once, by cause and status.
    #[must_use]
    pub fn elb_error_counts(&self, log_name: &str) -> Vec<ElbErrorCount> {
        self.elb_errors.counts(log_name)
    }

    /// Shows when certificates end, by their names: of these, and of no others.
    pub fn show_certificates(&self, certificates: &[(&str, i64)]) {
        self.certificates.show(certificates);
    }

    /// Handles of the Network Load Balancer with this log name (`net/NAME/ID`). Resolve once, at load.
    #[must_use]
    pub fn network_load_balancer(&self, log_name: &str) -> Arc<NetworkLoadBalancerMetrics> {
        self.show_access_log(log_name);
        Arc::new(self.network_load_balancers.resolve(log_name))
    }

    /// Handles of a target group (`targetgroup/NAME/ID`) behind a Network Load Balancer. Resolve once, at
    /// load.
    #[must_use]
    pub fn network_target_group(&self, load_balancer: &str, target_group: &str) -> NetworkTargetGroupMetrics {
        self.network_target_groups.resolve([load_balancer, target_group])
    }

    /// Handles of a listener (`PROTOCOL:PORT`) that reads proxy protocol headers. Resolve once, at load.
    #[must_use]
    pub fn proxy_protocol(&self, load_balancer: &str, listener: &str) -> ProxyProtocolMetrics {
        self.proxy_protocol.resolve([load_balancer, listener])
    }

    /// Handles of the access log of a load balancer of any type.
    #[must_use]
    pub fn access_log(&self, load_balancer: &str) -> AccessLogMetrics {
        self.access_logs.resolve([load_balancer])
    }

    /// Handles of the host counts of a target group (`targetgroup/NAME/ID`) behind a load balancer of any
    /// type. Resolve once, at load.
    #[must_use]
    pub fn host_counts(&self, load_balancer: &str, target_group: &str) -> HostCountMetrics {
        self.host_counts.resolve([load_balancer, target_group])
    }

    /// Handles of a target group (`targetgroup/NAME/ID`) behind an Application Load Balancer. Resolve once,
    /// at load.
    #[must_use]
    pub fn target_group(&self, load_balancer: &str, target_group: &str) -> Arc<TargetGroupMetrics> {
        Arc::new(self.target_groups.resolve([load_balancer, target_group]))
    }

    /// Shows the access log's series from the start, as the load balancer's others.
    fn show_access_log(&self, log_name: &str) {
        drop(self.access_log(log_name));
    }

    /// Handles of a rule: `listener` is `PROTOCOL:PORT`, `priority` 0 is the default rule.
    /// Resolve once, at load.
    #[must_use]
    pub fn rule(&self, load_balancer: &str, listener: &str, priority: u16) -> RuleMetrics {
        let priority = if priority == 0 { "default".to_owned() } else { priority.to_string() };
        self.rules.resolve([load_balancer, listener, &priority])
    }

    /// Handles of an action of the admin API by its name, with its HTTP status.
    #[must_use]
    pub fn admin_action(&self, action: &str, status: &str) -> AdminMetrics {
        self.admin.resolve([action, status])
    }

    /// Handles of a fault that a target group (`targetgroup/NAME/ID`) injects. Resolve once, at load, and only
    /// those that are on: a group without faults has no series.
    #[must_use]
    pub fn fault(&self, target_group: &str, fault: &str) -> FaultMetrics {
        self.faults.resolve([target_group, fault])
    }

    /// Drops the series that says whether a fault is on, of a target group that is gone. Its counter stays.
    pub fn forget_fault(&self, target_group: &str, fault: &str) {
        self.faults.forget([target_group, fault]);
    }

    /// Drops the host count series of a target group that a load balancer no longer uses, so that no
    /// stale number of healthy hosts is reported. Its counters stay.
    pub fn forget_host_counts(&self, load_balancer: &str, target_group: &str) {
        self.host_counts.forget([load_balancer, target_group]);
        self.target_groups.forget_host_counts([load_balancer, target_group]);
    }

    /// All metrics in the Prometheus text format, version 0.0.4; what the process uses is measured now.
    ///
    /// # Errors
    /// When the encoder refuses a family, which would be a mistake in the tables.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        self.usage.measure();
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))
    }
}

/// Counts a connection in `ActiveConnectionCount` until it is dropped.
#[derive(Debug)]
pub struct OpenConnection(Gauge);

impl OpenConnection {
    /// Counts one more open connection.
    #[must_use]
    pub fn new(active_connection_count: Gauge) -> Self {
        active_connection_count.inc();
        Self(active_connection_count)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl LoadBalancerMetrics {
    /// Counts a connection that was just established, and counts it as open until the result is dropped.
    #[must_use]
    pub fn connection_established(&self) -> OpenConnection {
        self.new_connection_count.inc();
        OpenConnection::new(self.active_connection_count.clone())
    }

    /// Counts a status code made by the load balancer: its class and, for 500 and 502–504, the code.
    ///
    /// Redirects and fixed responses are counted here too when they are 3XX, 4XX or 5XX, as ELB does.
    pub fn count_elb_status(&self, code: u16) {
        match code / 100 {
            3 => self.httpcode_elb_3xx.inc(),
            4 => self.httpcode_elb_4xx.inc(),
            5 => self.httpcode_elb_5xx.inc(),
            _ => {}
        }
        match code {
            500 => self.httpcode_elb_500.inc(),
            502 => self.httpcode_elb_502.inc(),
            503 => self.httpcode_elb_503.inc(),
            504 => self.httpcode_elb_504.inc(),
            _ => {}
        }
    }
}

impl TargetGroupMetrics {
    /// Counts a status code made by a target. 1XX, and so a WebSocket's 101, has no class in ELB.
    pub fn count_target_status(&self, code: u16) {
        match code / 100 {
            2 => self.httpcode_target_2xx.inc(),
            3 => self.httpcode_target_3xx.inc(),
            4 => self.httpcode_target_4xx.inc(),
            5 => self.httpcode_target_5xx.inc(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;

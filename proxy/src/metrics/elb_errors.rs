//! Responses that the load balancer made because something failed, by cause.
//!
//! `CloudWatch` counts status codes only, and a 502 has five causes. The causes are named by whoever decides
//! on them, which is above this module; each has its series from the load on.

use prometheus::{Opts, Registry, core::Collector as _, proto::MetricFamily};

use super::{
    Counter,
    families::{APPLICATION, Handle, help, metrics},
};

metrics! {
    /// What is counted per load balancer, cause and status code.
    ElbErrorFamilies => ElbErrorMetrics, labels ["load_balancer", "cause", "status"];
    errors: Counter = "albeit_elb_errors_total", "responses",
        None, "Requests that the load balancer ended with an error of its own, by cause; 460 included.";
}

/// How often something was the cause of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElbErrorCount {
    /// The cause, in `snake_case`.
    pub cause: String,
    /// `elb_status_code`.
    pub status: u16,
    /// Since the start of the process.
    pub count: u64,
}

impl ElbErrorFamilies {
    /// What happened at least once to the load balancer with this log name, by cause and status.
    pub(super) fn counts(&self, log_name: &str) -> Vec<ElbErrorCount> {
        let mut counts = Vec::new();
        for metric in self.errors.collect().iter().flat_map(MetricFamily::get_metric) {
            let label = |name| {
                let found = metric.get_label().iter().find(|label| label.name() == name);
                found.map_or("", |label| label.value())
            };
            // A count is a whole number, far below 2^53.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let count = metric.get_counter().get_value() as u64;
            if label("load_balancer") == log_name && count > 0 {
                let status = label("status").parse().unwrap_or_default();
                counts.push(ElbErrorCount { cause: label("cause").to_owned(), status, count });
            }
        }
        counts.sort_by(|a, b| (&a.cause, a.status).cmp(&(&b.cause, b.status)));
        counts
    }
}

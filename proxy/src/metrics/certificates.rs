//! When certificates end.

use prometheus::{Opts, Registry, core::Collector as _, proto::MetricFamily};

use super::{
    Gauge,
    families::{APPLICATION, Handle, help, metrics},
};

metrics! {
    /// What is known per certificate, by its name in the configuration.
    CertificateFamilies => CertificateMetrics, labels ["certificate"];
    not_after: Gauge = "albeit_certificate_not_after_timestamp_seconds", "seconds",
        None, "End of the certificate's validity, in seconds since 1970.";
}

impl CertificateFamilies {
    /// Shows these certificates, and no others.
    pub(super) fn show(&self, certificates: &[(&str, i64)]) {
        for (name, not_after) in certificates {
            self.resolve([name]).not_after.set(*not_after);
        }
        for metric in self.not_after.collect().iter().flat_map(MetricFamily::get_metric) {
            let shown = metric.get_label().first().map_or("", |label| label.value());
            if !certificates.iter().any(|(name, _)| *name == shown) {
                self.not_after.remove_label_values(&[shown]).unwrap_or_default();
            }
        }
    }
}

//! Reads the Prometheus text exposition of the admin API.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, Result};

/// One scrape.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Metric name → help text.
    help: HashMap<String, String>,
    /// Sample name and labels as written → value.
    samples: Vec<(String, String, f64)>,
}

impl Metrics {
    /// Reads a scrape; lines that are no samples are left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut metrics = Self::default();
        for line in text.lines() {
            if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
                metrics.help.insert(name.to_owned(), help.to_owned());
            } else if !line.starts_with('#')
                && let Some((series, value)) = line.rsplit_once(' ')
                && let Ok(value) = value.parse()
            {
                let (name, labels) = series.split_once('{').unwrap_or((series, ""));
                metrics.samples.push((name.to_owned(), labels.trim_end_matches('}').to_owned(), value));
            }
        }
        metrics
    }

    /// Sum over all series of `name` whose labels contain `labels` (as `key="value"`).
    #[must_use]
    pub fn sum(&self, name: &str, labels: &str) -> f64 {
        let matching = self.samples.iter().filter(|(n, l, _)| n == name && l.contains(labels));
        matching.map(|(_, _, value)| value).sum()
    }

    /// Every counter of traffic that is not 0, by name, summed over its series; histograms left out, and what
    /// any process has.
    #[must_use]
    pub fn counters(&self) -> BTreeMap<&str, f64> {
        let is_traffic = |name: &str| name.starts_with("albeit_") && name.ends_with("_total");
        let counters = self.samples.iter().filter(|(name, _, value)| is_traffic(name) && *value > 0.0);
        counters.fold(BTreeMap::new(), |mut sums, (name, _, value)| {
            *sums.entry(name.as_str()).or_default() += value;
            sums
        })
    }

    /// Name of the metric whose help text names `twin` as its `CloudWatch` twin for Application Load Balancers.
    ///
    /// # Errors
    /// When no metric does.
    pub fn named_after(&self, twin: &str) -> Result<&str> {
        self.named_after_in("AWS/ApplicationELB", twin)
    }

    /// [`Self::named_after`] for Network Load Balancers.
    ///
    /// # Errors
    /// When no metric does.
    pub fn network_named_after(&self, twin: &str) -> Result<&str> {
        self.named_after_in("AWS/NetworkELB", twin)
    }

    fn named_after_in(&self, namespace: &str, twin: &str) -> Result<&str> {
        let is_twin = |help: &str| {
            let twins = help.split_once(". CloudWatch: ").map(|(_, twins)| twins);
            let words = |twins: &str| twins.split(' ').any(|word| word == twin);
            twins.is_some_and(|twins| twins.contains(namespace) && words(twins))
        };
        let mut names: Vec<&str> =
            self.help.iter().filter(|(_, help)| is_twin(help)).map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names
            .first()
            .copied()
            .with_context(|| format!("no metric is {twin} in {namespace}: {:?}", self.help.keys()))
    }

    /// Sum over all series of the metric whose `CloudWatch` twin is `twin`.
    ///
    /// # Errors
    /// When there is no such metric.
    pub fn cloudwatch(&self, twin: &str) -> Result<f64> {
        Ok(self.sum(self.named_after(twin)?, ""))
    }
    /// [`Self::cloudwatch`] for Network Load Balancers.
    ///
    /// # Errors
    /// When there is no such metric.
    pub fn network_cloudwatch(&self, twin: &str) -> Result<f64> {
        Ok(self.sum(self.network_named_after(twin)?, ""))
    }
}

//! `RequestCountPerTarget`: the requests of a group, shared out among the targets that took them.
//!
//! ELB page: "`CloudWatch` metrics for your Application Load Balancer". The
//! sum over a period is the average number of requests of a target, also when
//! targets came and went meanwhile: what has been counted is divided whenever
//! their number changes, and when somebody looks. Requests pay nothing for it.

use std::sync::Arc;

use crate::metrics::TargetGroupMetrics;

/// How far the requests of a group have been shared out.
#[derive(Debug, Default)]
pub(super) struct PerTarget {
    /// Requests shared out already, one count for each load balancer.
    settled: Vec<u64>,
    /// Targets that take requests.
    targets: u32,
}

impl PerTarget {
    /// Begins with what `metrics` have counted so far.
    pub(super) fn begin(metrics: &[Arc<TargetGroupMetrics>]) -> Self {
        Self { settled: metrics.iter().map(|metrics| metrics.request_count.get()).collect(), targets: 0 }
    }

    /// Shares out what was counted since the last time, among the targets of that time; from now on there
    /// are `targets`.
    pub(super) fn settle(&mut self, metrics: &[Arc<TargetGroupMetrics>], targets: usize) {
        for (settled, metrics) in self.settled.iter_mut().zip(metrics) {
            let counted = metrics.request_count.get();
            let new = counted.saturating_sub(*settled);
            if self.targets > 0 {
                metrics.request_count_per_target.inc_by(new as f64 / f64::from(self.targets));
            }
            *settled = counted;
        }
        self.targets = u32::try_from(targets).unwrap_or(u32::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn requests_are_shared_among_the_targets_of_their_time() {
        let all = Metrics::try_new().unwrap();
        let metrics = [all.target_group("app/edge/1", "targetgroup/web/1")];
        metrics[0].request_count.inc_by(1000);
        let mut per_target = PerTarget::begin(&metrics);
        per_target.settle(&metrics, 2);
        metrics[0].request_count.inc_by(10);
        per_target.settle(&metrics, 4);
        metrics[0].request_count.inc_by(6);
        per_target.settle(&metrics, 0);
        per_target.settle(&metrics, 1);
        assert!((metrics[0].request_count_per_target.get() - 6.5).abs() < f64::EPSILON);
    }
}

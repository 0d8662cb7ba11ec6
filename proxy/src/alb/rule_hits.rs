//! How many requests each rule of a listener matched.

use crate::{
    metrics::{Counter, Metrics},
    model::Listener,
};

/// Counters of a listener's rules, resolved at load and ordered by priority. The default rule is 0.
#[derive(Debug, Default)]
pub struct RuleHits(Box<[(u16, Counter)]>);

impl RuleHits {
    /// The counters of the rules of `listener`, a listener of the load balancer with this log name.
    #[must_use]
    pub fn new(metrics: &Metrics, load_balancer: &str, listener: &Listener) -> Self {
        let name = listener.metric_name();
        let priorities = std::iter::once(0).chain(listener.rules.iter().map(|rule| rule.priority));
        let mut counters: Vec<_> = priorities
            .map(|priority| {
                let metrics = metrics.rule(load_balancer, &name, priority);
                (priority, metrics.matched_requests)
            })
            .collect();
        counters.sort_unstable_by_key(|(priority, _)| *priority);
        Self(counters.into())
    }

    /// Counts a request that the rule with `priority` matched.
    pub fn count(&self, priority: u16) {
        let place = self.0.binary_search_by_key(&priority, |(priority, _)| *priority);
        if let Some((_, counter)) = place.ok().and_then(|place| self.0.get(place)) {
            counter.inc();
        }
    }
}

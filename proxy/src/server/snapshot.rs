//! From a prepared configuration to what listeners work with.

use std::{net::SocketAddr, sync::Arc};

use super::{logs::Sinks, prepare::Prepared};
use crate::{
    access_log::LogKind,
    alb::{
        rule_hits::RuleHits,
        state::{GroupState, ListenerState, LoadBalancerState, Timers},
    },
    metrics::Metrics,
    model::LoadBalancer,
    target_groups::Group,
    time_scale::TimeScale,
};

/// The state of every listener of a configuration, with its address.
pub(super) fn listeners(
    prepared: &Prepared,
    groups: &[Arc<Group>],
    sinks: &Sinks,
    metrics: &Metrics,
    scale: TimeScale,
) -> Vec<(SocketAddr, ListenerState)> {
    let mut states = Vec::new();
    for (load_balancer, tls) in prepared.model.load_balancers.iter().zip(&prepared.tls) {
        let shared = Arc::new(LoadBalancerState {
            log_name: load_balancer.log_name.clone(),
            arn: load_balancer.arn.clone(),
            metrics: metrics.load_balancer(&load_balancer.log_name),
            access_log: sinks.get(LogKind::Access, &load_balancer.log_name),
            connection_log: sinks.get(LogKind::Connection, &load_balancer.log_name),
            timers: Timers::new(load_balancer, scale),
        });
        let groups = group_states(prepared, load_balancer, groups, metrics, scale);
        for (listener, tls) in load_balancer.listeners.iter().zip(tls) {
            let mut state = ListenerState::new(
                load_balancer,
                listener,
                Arc::clone(&shared),
                Arc::clone(&groups),
                tls.clone(),
                scale,
            );
            state.rule_hits = RuleHits::new(metrics, &load_balancer.log_name, listener);
            states.push((listener.bind, state));
        }
    }
    states
}

fn group_states(
    prepared: &Prepared,
    load_balancer: &LoadBalancer,
    groups: &[Arc<Group>],
    metrics: &Metrics,
    scale: TimeScale,
) -> Arc<[Arc<GroupState>]> {
    let own = metrics.load_balancer(&load_balancer.log_name);
    let settings = prepared.model.target_groups.iter().zip(&prepared.target_tls);
    let states = settings.zip(groups).map(|((settings, tls), group)| {
        let metrics = metrics.target_group(&load_balancer.log_name, &settings.metric_name);
        let (own, tls) = (Arc::clone(&own), tls.clone());
        Arc::new(GroupState::new(settings, Arc::clone(group), metrics, own, tls, scale))
    });
    states.collect()
}

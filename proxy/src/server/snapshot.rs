//! From a prepared configuration to what listeners work with.

use std::sync::Arc;

use super::{logs::Sinks, prepare::Prepared};
use crate::{
    access_log::LogKind,
    alb::{
        rule_hits::RuleHits,
        state::{GroupState, ListenerState, LoadBalancerState, Timers},
    },
    listener::{ListenerSettings, PlaneSettings, ProxyProtocolIn},
    metrics::Metrics,
    model::{Action, Listener, LoadBalancer, LoadBalancerType, rule::Forward},
    nlb,
    target_groups::Group,
    time_scale::TimeScale,
    tls::accept::TlsListener,
};

/// What states are made with.
#[derive(Clone, Copy)]
pub(super) struct Makings<'a> {
    pub(super) prepared: &'a Prepared,
    /// The target groups, by their index in the model.
    pub(super) groups: &'a [Arc<Group>],
    pub(super) sinks: &'a Sinks,
    pub(super) metrics: &'a Metrics,
    pub(super) scale: TimeScale,
}

/// Every listener of a configuration.
pub(super) fn listeners(makings: Makings<'_>) -> Vec<ListenerSettings> {
    let load_balancers = makings.prepared.model.load_balancers.iter().zip(&makings.prepared.tls);
    let mut listeners = Vec::new();
    for (load_balancer, tls) in load_balancers {
        let planes = match load_balancer.kind {
            LoadBalancerType::Application => makings.application(load_balancer, tls),
            LoadBalancerType::Network => makings.network(load_balancer, tls),
        };
        for (listener, plane) in load_balancer.listeners.iter().zip(planes) {
            let metrics = || makings.metrics.proxy_protocol(&load_balancer.log_name, &listener.metric_name());
            let proxy_protocol =
                ProxyProtocolIn::new(&listener.attributes.proxy_protocol, makings.scale, metrics);
            listeners.push(ListenerSettings { bind: listener.bind, proxy_protocol, plane });
        }
    }
    listeners
}

impl Makings<'_> {
    fn application(
        self,
        load_balancer: &LoadBalancer,
        tls: &[Option<Arc<TlsListener>>],
    ) -> Vec<PlaneSettings> {
        let Self { sinks, metrics, scale, .. } = self;
        let shared = Arc::new(LoadBalancerState {
            log_name: load_balancer.log_name.clone(),
            arn: load_balancer.arn.clone(),
            metrics: metrics.load_balancer(&load_balancer.log_name),
            access_log: sinks.get(LogKind::Access, &load_balancer.log_name),
            connection_log: sinks.get(LogKind::Connection, &load_balancer.log_name),
            timers: Timers::new(load_balancer, scale),
        });
        let groups = self.application_groups(load_balancer);
        let states = load_balancer.listeners.iter().zip(tls).map(|(listener, tls)| {
            let (shared, groups) = (Arc::clone(&shared), Arc::clone(&groups));
            let mut state = ListenerState::new(load_balancer, listener, shared, groups, tls.clone(), scale);
            state.rule_hits = RuleHits::new(metrics, &load_balancer.log_name, listener);
            PlaneSettings::Application(Box::new(state))
        });
        states.collect()
    }

    fn application_groups(self, load_balancer: &LoadBalancer) -> Arc<[Arc<GroupState>]> {
        let Self { prepared, metrics, scale, .. } = self;
        let own = metrics.load_balancer(&load_balancer.log_name);
        let settings = prepared.model.target_groups.iter().zip(&prepared.target_tls);
        let states = settings.zip(self.groups).map(|((settings, tls), group)| {
            let metrics = metrics.target_group(&load_balancer.log_name, &settings.metric_name);
            let (own, tls) = (Arc::clone(&own), tls.clone());
            Arc::new(GroupState::new(settings, Arc::clone(group), metrics, own, tls, scale))
        });
        states.collect()
    }

    fn network(self, load_balancer: &LoadBalancer, tls: &[Option<Arc<TlsListener>>]) -> Vec<PlaneSettings> {
        let Self { prepared, sinks, metrics, scale, .. } = self;
        let shared = Arc::new(nlb::LoadBalancerState {
            log_name: load_balancer.log_name.clone(),
            metrics: metrics.network_load_balancer(&load_balancer.log_name),
            access_log: sinks.get(LogKind::TlsConnection, &load_balancer.log_name),
            flow_log: sinks.get(LogKind::Flow, &load_balancer.log_name),
        });
        let settings = prepared.model.target_groups.iter().zip(&prepared.target_tls);
        let groups = settings.zip(self.groups).map(|((settings, tls), group)| {
            let metrics = metrics.network_target_group(&load_balancer.log_name, &settings.metric_name);
            Arc::new(nlb::GroupState::new(settings, Arc::clone(group), metrics, tls.clone()))
        });
        let groups: Vec<_> = groups.collect();
        let states = load_balancer.listeners.iter().zip(tls).map(|(listener, tls)| {
            let forward = forward_of(listener);
            let state =
                nlb::ListenerState::new(listener, &forward, Arc::clone(&shared), &groups, tls.clone(), scale);
            PlaneSettings::Network(Box::new(state))
        });
        states.collect()
    }
}

/// What the default action of a network load balancer's listener is: it can be nothing else.
fn forward_of(listener: &Listener) -> Forward {
    match &listener.default_actions.action {
        Action::Forward(forward) => forward.clone(),
        Action::Redirect(_) | Action::FixedResponse(_) => {
            Forward { target_groups: Vec::new(), stickiness: None }
        }
    }
}

//! From a prepared configuration to what listeners work with.

use std::{collections::HashSet, sync::Arc};

use super::{logs::Sinks, prepare::Prepared};
use crate::{
    access_log::{LogKind, Recent},
    alb::{
        elb_errors::ElbErrors,
        rule_hits::RuleHits,
        state::{GroupState, ListenerState, LoadBalancerState, Timers},
    },
    fault::Faults,
    listener::{ListenerSettings, PlaneSettings, ProxyProtocolIn},
    metrics::Metrics,
    model::{Action, Listener, LoadBalancer, LoadBalancerType, TargetGroup, fault::Fault, rule::Forward},
    nlb,
    target_groups::Group,
    time_scale::TimeScale,
    tls::{accept::TlsListener, target::TargetTls},
    traces::Tracer,
};

/// What states are made with.
#[derive(Clone, Copy)]
pub(super) struct Makings<'a> {
    pub(super) prepared: &'a Prepared,
    /// The target groups, by their index in the model.
    pub(super) groups: &'a [Arc<Group>],
    pub(super) sinks: &'a Sinks,
    pub(super) metrics: &'a Metrics,
    /// What records requests, if they are traced.
    pub(super) tracer: Option<&'a Arc<Tracer>>,
    /// The last requests, for the dashboard.
    pub(super) recent: &'a Arc<Recent>,
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
        let faults = self.prepared.model.target_groups.iter().map(|group| &group.attributes.faults);
        let aborts =
            faults.filter(|faults| faults.abort_percent > 0).filter_map(|faults| faults.abort_status);
        let shared = Arc::new(LoadBalancerState {
            log_name: load_balancer.log_name.clone(),
            arn: load_balancer.arn.as_str().into(),
            metrics: metrics.load_balancer(&load_balancer.log_name),
            errors: ElbErrors::new(metrics, &load_balancer.log_name, aborts),
            access_log: sinks.get(LogKind::Access, &load_balancer.log_name),
            recent: Arc::clone(self.recent),
            connection_log: sinks.get(LogKind::Connection, &load_balancer.log_name),
            tracer: self.tracer.cloned(),
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

    fn application_groups(self, load_balancer: &LoadBalancer) -> Arc<[Option<Arc<GroupState>>]> {
        let Self { metrics, scale, .. } = self;
        let own = metrics.load_balancer(&load_balancer.log_name);
        let states = self.groups_of(load_balancer, |settings, group, tls| {
            let counted = metrics.target_group(&load_balancer.log_name, &settings.metric_name);
            let mut state = GroupState::new(settings, group, counted, Arc::clone(&own), tls, scale);
            state.faults = self.faults(settings);
            state
        });
        states.into()
    }

    /// What a group does wrong on purpose.
    fn faults(self, settings: &TargetGroup) -> Option<Arc<Faults>> {
        let metrics = |fault: Fault| self.metrics.fault(&settings.metric_name, fault.as_str());
        Faults::new(&settings.attributes.faults, self.scale, metrics)
    }

    /// What `state` makes of the groups that a load balancer forwards to, each at its index in the model; of
    /// the others the load balancer has no state, and so no metrics.
    fn groups_of<T>(
        self,
        load_balancer: &LoadBalancer,
        state: impl Fn(&TargetGroup, Arc<Group>, Option<TargetTls>) -> T,
    ) -> Vec<Option<Arc<T>>> {
        let used: HashSet<usize> = load_balancer.target_groups().map(|index| index.0).collect();
        let model = &self.prepared.model.target_groups;
        let settings = model.iter().zip(&self.prepared.target_tls).zip(self.groups).enumerate();
        let states = settings.map(|(index, ((settings, tls), group))| {
            used.contains(&index).then(|| Arc::new(state(settings, Arc::clone(group), tls.clone())))
        });
        states.collect()
    }

    fn network(self, load_balancer: &LoadBalancer, tls: &[Option<Arc<TlsListener>>]) -> Vec<PlaneSettings> {
        let Self { sinks, metrics, scale, .. } = self;
        let shared = Arc::new(nlb::LoadBalancerState {
            log_name: load_balancer.log_name.clone(),
            metrics: metrics.network_load_balancer(&load_balancer.log_name),
            access_log: sinks.get(LogKind::TlsConnection, &load_balancer.log_name),
            flow_log: sinks.get(LogKind::Flow, &load_balancer.log_name),
        });
        let groups = self.groups_of(load_balancer, |settings, group, tls| {
            let metrics = metrics.network_target_group(&load_balancer.log_name, &settings.metric_name);
            let mut state = nlb::GroupState::new(settings, group, metrics, tls);
            state.faults = self.faults(settings);
            state
        });
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

//! What flows of a listener work with: decided at load, swapped as a whole on reload.

use std::{sync::Arc, time::Duration};

use super::{Shared, weight_zero::GroupEnd};
use crate::{
    access_log::Sink,
    fault::Faults,
    flow::Protocol,
    metrics::{NetworkLoadBalancerMetrics, NetworkTargetGroupMetrics},
    model::{Listener, TargetGroup, TargetType, rule::Forward, target_group::FlowAttributes},
    target_groups::Group,
    time_scale::TimeScale,
    tls::{accept::TlsListener, target::TargetTls},
};

/// How long a target may take to answer a new flow, before time scaling.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Idle timeout of flows of TLS listeners, before time scaling; it cannot be changed.
pub(super) const TLS_IDLE_TIMEOUT: Duration = Duration::from_secs(350);

/// How long flows go on in a target group whose weight became 0, before time scaling. ELB says that they
/// are closed after a short while.
pub(super) const WEIGHT_ZERO_DELAY: Duration = Duration::from_secs(60);

/// A network load balancer as its flows see it.
#[derive(Debug)]
pub struct LoadBalancerState {
    /// `net/NAME/ID`.
    pub log_name: String,
    /// Its counters.
    pub metrics: Arc<NetworkLoadBalancerMetrics>,
    /// Where its access log of TLS connections goes, if it has one.
    pub access_log: Option<Arc<Sink>>,
    /// Where its flow log goes, if it has one.
    pub flow_log: Option<Arc<Sink>>,
}

/// A target group as flows of one load balancer see it.
#[derive(Debug)]
pub struct GroupState {
    /// Targets and the choice among them.
    pub group: Arc<Group>,
    /// `target_group_arn`.
    pub arn: String,
    /// Addresses, or an application load balancer.
    pub target_type: TargetType,
    /// Attributes of the group that steer its flows.
    pub attributes: FlowAttributes,
    /// TLS towards the targets of a group with protocol TLS.
    pub tls: Option<TargetTls>,
    /// Counters of this load balancer and group.
    pub metrics: NetworkTargetGroupMetrics,
    /// What the group does wrong on purpose.
    pub faults: Option<Arc<Faults>>,
}

impl GroupState {
    /// The state of `settings`, whose targets `group` holds.
    #[must_use]
    pub fn new(
        settings: &TargetGroup,
        group: Arc<Group>,
        metrics: NetworkTargetGroupMetrics,
        tls: Option<TargetTls>,
    ) -> Self {
        Self {
            group,
            arn: settings.arn.clone(),
            target_type: settings.target_type,
            attributes: settings.attributes.flows.clone(),
            tls,
            metrics,
            faults: None,
        }
    }
}

/// A group among those a listener forwards to.
#[derive(Debug)]
pub(super) struct Weighted {
    pub(super) group: Arc<GroupState>,
    pub(super) weight: u16,
    /// Of the listener's flows in the group, should its weight become 0.
    pub(super) end: GroupEnd,
}

/// A listener as its flows see it.
#[derive(Debug)]
pub struct ListenerState {
    /// The load balancer it belongs to.
    pub load_balancer: Arc<LoadBalancerState>,
    /// TCP or TLS.
    pub protocol: Protocol,
    /// Its ARN.
    pub arn: String,
    /// The last part of its ARN.
    pub id: String,
    pub(super) groups: Vec<Weighted>,
    /// Flows of one client address stay in one group.
    pub(super) is_sticky: bool,
    /// TLS settings of a TLS listener.
    pub(super) tls: Option<Arc<TlsListener>>,
    pub(super) handshake_timeout: Duration,
    pub(super) target_handshake_timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) idle_timeout: Duration,
    weight_zero_delay: Duration,
}

impl ListenerState {
    /// The state of `listener`, which forwards as `forward` says to groups among `groups`, by their index in
    /// the model.
    #[must_use]
    pub fn new(
        listener: &Listener,
        forward: &Forward,
        load_balancer: Arc<LoadBalancerState>,
        groups: &[Option<Arc<GroupState>>],
        tls: Option<Arc<TlsListener>>,
        scale: TimeScale,
    ) -> Self {
        let weighted = forward.target_groups.iter().filter_map(|weighted| {
            let group = Arc::clone(groups.get(weighted.target_group.0)?.as_ref()?);
            Some(Weighted { group, weight: weighted.weight, end: GroupEnd::default() })
        });
        let idle_timeout =
            if tls.is_some() { TLS_IDLE_TIMEOUT } else { listener.attributes.tcp_idle_timeout };
        Self {
            load_balancer,
            protocol: if tls.is_some() { Protocol::Tls } else { Protocol::Tcp },
            arn: listener.arn.clone(),
            id: listener.arn.rsplit('/').next().unwrap_or_default().to_owned(),
            groups: weighted.collect(),
            is_sticky: forward.stickiness.is_some(),
            tls,
            handshake_timeout: scale.apply(crate::tls::accept::HANDSHAKE_TIMEOUT),
            target_handshake_timeout: scale.apply(crate::tls::target::HANDSHAKE_TIMEOUT),
            connect_timeout: scale.apply(CONNECT_TIMEOUT),
            idle_timeout: scale.apply(idle_timeout),
            weight_zero_delay: scale.apply(WEIGHT_ZERO_DELAY),
        }
    }

    /// Takes the place of `before`, whose flows go on: those in groups that have weight 0 now not for long.
    pub fn replace(&mut self, before: &Self, shared: &Shared) {
        for now in &mut self.groups {
            let mut known = before.groups.iter().filter(|known| known.group.arn == now.group.arn);
            let Some(known) = known.next() else { continue };
            if now.weight > 0 {
                now.end = known.end.call_off();
            } else {
                now.end = known.end.clone();
                if known.weight > 0 {
                    known.end.begin(self.weight_zero_delay, shared);
                }
            }
        }
    }
}

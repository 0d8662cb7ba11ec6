//! What only network load balancers have: rules that span their listeners and target groups.
//!
//! ELB pages: "Listeners for your Network Load Balancers", "Quotas for your
//! Network Load Balancers", "Health checks for Network Load Balancer target
//! groups".

use super::{
    context::{Context, KnownGroup},
    path::Path,
    protocol::Protocol,
};
use crate::model::{
    HealthCheckProtocol, LoadBalancer, LoadBalancerType, TargetGroup, TargetGroupIndex, TargetType,
    attributes::AttributeValues,
};

/// Targets of a load balancer, in one availability zone.
const MOST_TARGETS: usize = 500;
/// Targets that an application load balancer as target counts for.
const TARGETS_OF_LOAD_BALANCER: usize = 50;

const IDLE_TIMEOUT: &str = "tcp.idle_timeout.seconds";

/// Checks the attributes of a listener; `at` is theirs.
pub(super) fn check_listener(
    values: &AttributeValues,
    protocol: Option<Protocol>,
    at: &Path,
    cx: &mut Context<'_>,
) {
    if protocol == Some(Protocol::Tls) && values.given(IDLE_TIMEOUT).is_some() {
        cx.report.mistake(&at.key(IDLE_TIMEOUT), "is fixed at 350 seconds for TLS listeners");
    }
}

/// Reports a load balancer with too many targets; `at` is its listeners'.
pub(super) fn check_targets(name: &str, at: &Path, cx: &mut Context<'_>) {
    let count = |group: &KnownGroup| match group.target_type {
        TargetType::Ip => group.targets,
        TargetType::Alb => group.targets * TARGETS_OF_LOAD_BALANCER,
    };
    let used = cx.groups.iter().filter(|group| group.used_by.as_deref() == Some(name));
    let targets: usize = used.map(count).sum();
    if targets > MOST_TARGETS {
        let message = format!(
            "a network load balancer can have up to {MOST_TARGETS} targets, not {targets}; an application load \
             balancer counts for {TARGETS_OF_LOAD_BALANCER}"
        );
        cx.report.mistake(at, message);
    }
}

/// Gives the HTTP checks of groups the `Host` that goes with the first listener that forwards to them.
pub(super) fn choose_hosts(load_balancers: &[LoadBalancer], groups: &mut [TargetGroup]) {
    let network = load_balancers.iter().filter(|it| it.kind == LoadBalancerType::Network);
    for listener in network.flat_map(|load_balancer| &load_balancer.listeners) {
        for TargetGroupIndex(index) in listener.default_actions.action.target_groups() {
            if let Some(group) = groups.get_mut(index)
                && group.health_check.protocol != HealthCheckProtocol::Tcp
            {
                group.health_check.host.get_or_insert(listener.bind);
            }
        }
    }
}

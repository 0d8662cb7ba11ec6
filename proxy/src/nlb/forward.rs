//! Which target group and which target take a flow.
//!
//! ELB pages: "Listeners for your Network Load Balancers" (weighted target
//! groups), "Edit target group attributes for your Network Load Balancer"
//! (stickiness). A group is chosen by weight, or with group stickiness by the
//! client's address; a target in it by the flow hash or the client's address.

use std::sync::Arc;

use super::state::{GroupState, ListenerState};
use crate::{
    balance::{flow_hash::FlowKey, weighted},
    cut::Cut,
    flow::Protocol,
    stickiness::source_ip::source_ip_draw,
    target_groups::{NoTarget, OutstandingGuard},
};

/// Where a flow goes.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) group: Arc<GroupState>,
    /// Counts the flow as the target's.
    pub(super) guard: OutstandingGuard,
    /// Fired when flows in this group are closed because it has no weight any more.
    pub(super) closed: Cut<()>,
}

/// Chooses for the flow `key`; `draw` is a random number.
///
/// # Errors
/// The chosen group, if there is one, when it has no target.
pub(super) fn choose(
    listener: &ListenerState,
    key: &FlowKey,
    draw: u32,
) -> Result<Chosen, (NoTarget, Option<Arc<GroupState>>)> {
    let index = match listener.groups.as_slice() {
        [only] if only.weight > 0 => Some(0),
        groups => {
            let draw = if listener.is_sticky { source_ip_draw(key.source.ip()) } else { draw };
            weighted::choose(draw, groups.iter().map(|weighted| u32::from(weighted.weight)))
        }
    };
    let chosen = index.and_then(|index| listener.groups.get(index)).ok_or((NoTarget, None))?;
    let group = Arc::clone(&chosen.group);
    let selected = match group.group.select_flow(key) {
        Ok(selected) => selected,
        Err(error) => return Err((error, Some(group))),
    };
    // ELB does not count it for TLS listeners.
    if selected.fail_open && listener.protocol == Protocol::Tcp {
        group.metrics.unhealthy_routing_flow_count.inc();
    }
    Ok(Chosen { guard: selected.target.begin(), group, closed: chosen.end.closed() })
}

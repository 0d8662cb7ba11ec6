//! Connection termination: what a change of a target's health, or its end, means for the flows on it.
//!
//! ELB pages: "Edit target group attributes for your Network Load Balancer"
//! (deregistration delay, connection termination for unhealthy targets),
//! "Health checks for Network Load Balancer target groups". The moment a target
//! turns unhealthy decides: flows it keeps because the group fails open then are
//! kept when the group no longer does.

use std::sync::Arc;

use super::{Group, Target, members::Members};
use crate::{
    health::Tracker,
    model::{TargetGroupProtocol, target_group::FlowAttributes},
};

impl Members {
    /// What the group's flows are subject to; `None` for groups of application load balancers.
    pub(super) fn flow_attributes(&self) -> Option<&FlowAttributes> {
        match self.settings.protocol {
            TargetGroupProtocol::Tcp | TargetGroupProtocol::Tls => Some(&self.settings.attributes.flows),
            TargetGroupProtocol::Http | TargetGroupProtocol::Https => None,
        }
    }

    /// Whether work in flight is cut at the end of the deregistration delay: requests always are.
    pub(super) fn terminates_deregistered(&self) -> bool {
        self.flow_attributes().is_none_or(|flows| flows.deregistration_termination)
    }

    /// Whether flows are reset when their target turns unhealthy.
    fn terminates_unhealthy(&self) -> bool {
        self.flow_attributes().is_some_and(|flows| flows.unhealthy_termination)
    }
}

impl Group {
    /// Lets `step` change the health of a registered target, and tells who needs to know.
    pub(super) fn change_health(
        &self,
        members: &mut Members,
        target: &Arc<Target>,
        step: impl FnOnce(&mut Tracker),
    ) {
        let was_unhealthy = target.is_unhealthy();
        if !target.track(step) {
            return;
        }
        self.log(target);
        // No new flow chooses the target when those on it are cut.
        self.publish(members);
        let turned_unhealthy = !was_unhealthy && target.is_unhealthy();
        if turned_unhealthy && members.terminates_unhealthy() && !self.fails_open() {
            target.cut_flows();
        }
    }
}

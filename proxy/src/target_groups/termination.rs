//! Connection termination: what a change of a target's health, or its end, means for the flows on it.
//!
//! ELB pages: "Edit target group attributes for your Network Load Balancer"
//! (deregistration delay, connection termination for unhealthy targets),
//! "Health checks for Network Load Balancer target groups". The moment a target
//! turns unhealthy decides, or the one in which its unhealthy draining interval
//! is over: flows it keeps because the group fails open then are kept when the
//! group no longer does. An interval that has begun keeps its length when the
//! attribute changes.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Group, Target, members::Members};
use crate::{
    health::{State, Tracker},
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

    /// How long an unhealthy target keeps its flows before they are reset, if that is limited at all.
    fn unhealthy_draining_interval(&self) -> Option<Duration> {
        let flows = self.flow_attributes().filter(|flows| !flows.unhealthy_termination)?;
        Some(flows.unhealthy_draining_interval).filter(|interval| !interval.is_zero())
    }

    /// Ends the unhealthy draining intervals that are over; returns the targets that had one.
    fn end_unhealthy_draining(&self, now: Instant) -> Vec<Arc<Target>> {
        let targets = self.registered.iter().map(|member| &member.target);
        let draining = targets.filter(|target| target.health().state == State::UnhealthyDraining);
        draining.filter(|target| target.track(|tracker| tracker.handle_time(now))).cloned().collect()
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
        let turned_unhealthy = !was_unhealthy && target.is_unhealthy();
        if turned_unhealthy && let Some(interval) = members.unhealthy_draining_interval() {
            let until = Instant::now() + self.scale().apply(interval);
            target.track(|tracker| tracker.handle_flows_kept(until));
        }
        self.log(target);
        // No new flow chooses the target when those on it are cut.
        self.publish(members);
        if turned_unhealthy && members.terminates_unhealthy() && !self.fails_open() {
            target.cut_flows();
        }
    }

    /// Ends the unhealthy draining intervals that are over, and resets the flows that are left.
    pub(super) fn end_unhealthy_draining(&self, members: &mut Members, now: Instant) {
        let ended = members.end_unhealthy_draining(now);
        if ended.is_empty() {
            return;
        }
        ended.iter().for_each(|target| self.log(target));
        self.publish(members);
        if !self.fails_open() {
            ended.iter().for_each(|target| target.cut_flows());
        }
    }
}

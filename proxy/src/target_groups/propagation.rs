//! A fault on purpose: a deregistered target goes on getting new work for a while.
//!
//! Not of ELB's pages, but of its practice: a deregistration reaches the nodes of a load balancer seconds
//! after the API has answered, which is why people let their targets serve on before they stop
//! (`albeit.fault.deregistration_propagation.seconds`). The target is `draining` all the while, as it is
//! reported in ELB, and its deregistration delay runs; when that is over, so is this.

use std::sync::Arc;

use tokio::time::sleep;

use super::{Group, Target, members::Members};
use crate::{health::State, model::fault::Fault};

impl Group {
    /// Lets `target`, which is about to be deregistered, be chosen for a while yet, if the group has the fault
    /// and the target gets work now. The caller publishes.
    pub(super) fn deregister_late(self: &Arc<Self>, members: &mut Members, target: &Arc<Target>) {
        let lag = members.settings.attributes.faults.deregistration_propagation;
        if lag.is_zero() || members.removed || target.health().state != State::Healthy {
            return;
        }
        members.lagging.push(Arc::clone(target));
        let fault = Fault::DeregistrationPropagation.as_str();
        self.environment().metrics.fault(&members.settings.metric_name, fault).injected.inc();
        tracing::warn!(
            target_group = self.name(),
            target = %target.addr(),
            fault,
            "a deregistered target goes on getting new work on purpose"
        );
        let (group, target) = (Arc::clone(self), Arc::clone(target));
        let lag = self.scale().apply(lag);
        self.environment().tracker.spawn(async move {
            tokio::select! {
                () = group.environment().shutdown.cancelled() => {}
                () = sleep(lag) => group.end_late_deregistration(&target),
            }
        });
    }

    fn end_late_deregistration(&self, target: &Arc<Target>) {
        self.change_members(|members| members.forget_lagging(target));
    }
}

impl Members {
    /// Whether `target` was still chosen although it is deregistered; it is no longer.
    pub(super) fn forget_lagging(&mut self, target: &Arc<Target>) -> bool {
        let before = self.lagging.len();
        self.lagging.retain(|lagging| !Arc::ptr_eq(lagging, target));
        self.lagging.len() < before
    }

    /// The deregistered targets that still get new work. One that is registered again begins anew.
    pub(super) fn lagging(&self) -> impl Iterator<Item = &Arc<Target>> {
        let is_registered = |target: &&Arc<Target>| {
            self.registered.binary_search_by_key(&target.addr(), |member| member.target.addr()).is_ok()
        };
        self.lagging.iter().filter(move |target| !is_registered(target))
    }
}

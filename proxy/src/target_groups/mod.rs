//! Target groups at run time: who is registered, who is healthy, how much work
//! is in flight, who drains.
//!
//! ELB pages: "Target groups for your Application Load Balancers", "Health
//! checks", "Deregistration delay", "Target group health" (fail open).
//!
//! The [`Registry`] outlives reloads: [`Registry::apply`] takes each new model
//! and changes only what differs. A request chooses its target with
//! [`Group::select`], which takes no lock and allocates nothing. Invariant: a
//! target is chosen only from the selection published last, and
//! that is published again at every change of membership, health, settings or
//! weights ([`Registry::tick`]).
//! Sealing and opening stickiness cookies is not done here.

mod check_log;
mod checks;
mod flow_cut;
mod group;
pub mod http2_pool;
mod known;
mod members;
mod per_target;
pub mod pool;
mod propagation;
mod registry;
mod resolve;
mod select;
mod target;
mod target_io;
mod termination;
mod weights;

pub use self::{
    check_log::{HealthCheckLog, HealthCheckLogs},
    flow_cut::{CutReason, FlowCut},
    group::{Group, TargetDescription},
    known::{Known, KnownHost, KnownTarget},
    registry::{Environment, Registry},
    resolve::{RESOLVE_INTERVAL, Resolver, SystemResolver},
    select::{NoTarget, Outcome, Selected, Unusable},
    target::{OutstandingGuard, Target},
};

#[cfg(test)]
mod tests;

//! Choosing a target: stickiness first, then the algorithm, over the healthy
//! targets or, when too few are, over all of them.
//!
//! ELB pages: "Sticky sessions", "Routing algorithms", "Target group health"
//! (unhealthy state actions). ELB does not say whether a cookie is honoured
//! while a group fails open; here it is, because then every registered target
//! counts as usable.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::Target;
use crate::{
    balance::{
        self,
        flow_hash::{FlowKey, flow_hash},
        weighted,
    },
    health::State,
    model::target_group::{Algorithm, Stickiness, TargetGroupAttributes},
    stickiness::source_ip::source_ip,
};

/// A target chosen for a request.
#[derive(Debug, Clone)]
pub struct Selected {
    /// Where the request goes.
    pub target: Arc<Target>,
    /// How it was chosen.
    pub outcome: Outcome,
    /// The group was failing open (metric `UnhealthyRoutingRequestCount`).
    pub fail_open: bool,
}

/// How a target was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The target the cookie names.
    Sticky,
    /// The routing algorithm's choice.
    Chosen {
        /// What was wrong with the cookie's target; `None` when there was no cookie to honour.
        instead_of: Option<Unusable>,
    },
}

impl Outcome {
    /// Whether `NonStickyRequestCount` counts this request when the group has stickiness: no usable
    /// cookie, or its target is not registered. A cookie whose target is unhealthy or draining does
    /// not count.
    #[must_use]
    pub const fn is_non_sticky(self) -> bool {
        matches!(self, Self::Chosen { instead_of: None | Some(Unusable::NotRegistered) })
    }
}

/// Why the target of a cookie was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// Registered, but not healthy.
    Unhealthy,
    /// Deregistered, the delay still running.
    Draining,
    /// Not registered (any more).
    NotRegistered,
}

/// The group has no registered target: 503.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("target group has no registered targets")]
pub struct NoTarget;

/// What a request needs to know of a group, ready to be read without a lock.
#[derive(Debug)]
pub(super) struct Selection {
    algorithm: Algorithm,
    /// `stickiness.type` is `source_ip`, and on.
    by_source_ip: bool,
    /// Ordered by address, so that a cookie's target is found by bisection.
    usable: Box<[Arc<Target>]>,
    /// Weights of `usable`, if any of them is lowered.
    weights: Option<Box<[u32]>>,
    unusable: Box<[(SocketAddr, Unusable)]>,
    fail_open: bool,
}

impl Selection {
    /// From the registered targets, ordered by address, and the draining ones.
    pub(super) fn new(
        attributes: &TargetGroupAttributes,
        registered: &[Arc<Target>],
        draining: &[Arc<Target>],
    ) -> Self {
        let (healthy, unhealthy): (Vec<_>, Vec<_>) =
            registered.iter().cloned().partition(|target| target.health().state == State::Healthy);
        let is_met = attributes.unhealthy_state_routing.is_met(healthy.len(), registered.len());
        let fail_open = !registered.is_empty() && !is_met;
        let mut unusable: Vec<_> =
            draining.iter().map(|target| (target.addr(), Unusable::Draining)).collect();
        let usable = if fail_open {
            registered.to_vec()
        } else {
            unusable.extend(unhealthy.iter().map(|target| (target.addr(), Unusable::Unhealthy)));
            healthy
        };
        Self {
            algorithm: attributes.algorithm,
            by_source_ip: attributes.stickiness == Some(Stickiness::SourceIp),
            usable: usable.into(),
            weights: None,
            unusable: unusable.into(),
            fail_open,
        }
    }

    /// Adds targets that are to be chosen although they are registered no more.
    pub(super) fn with_lagging<'t>(mut self, lagging: impl Iterator<Item = &'t Arc<Target>>) -> Self {
        let lagging: Vec<_> = lagging.cloned().collect();
        if !lagging.is_empty() {
            let mut usable = self.usable.into_vec();
            usable.extend(lagging);
            usable.sort_unstable_by_key(|target| target.addr());
            usable.dedup_by_key(|target| target.addr());
            self.usable = usable.into();
        }
        self
    }

    /// Gives each target its weight, where one is lowered. A group that fails open knows no weights.
    pub(super) fn with_weights(mut self, weight_of: impl Fn(SocketAddr) -> u32) -> Self {
        let weights: Box<[u32]> = self.usable.iter().map(|target| weight_of(target.addr())).collect();
        let is_lowered = weights.iter().any(|weight| *weight < weighted::WHOLE);
        self.weights = (is_lowered && !self.fail_open).then_some(weights);
        self
    }

    /// Whether all targets get traffic because too few are healthy.
    pub(super) const fn fails_open(&self) -> bool {
        self.fail_open
    }

    /// How many targets share the requests.
    pub(super) fn usable(&self) -> usize {
        self.usable.len()
    }

    /// Chooses for one request. `sticky` is the address in the request's opened cookie, if it had one;
    /// `draw` gives random numbers, and is asked only by the algorithm that needs one.
    pub(super) fn select(
        &self,
        cursor: &AtomicUsize,
        sticky: Option<SocketAddr>,
        draw: impl FnOnce() -> u32,
    ) -> Result<Selected, NoTarget> {
        let (target, outcome) = match sticky.map(|addr| self.find(addr)) {
            Some(Ok(target)) => (target, Outcome::Sticky),
            Some(Err(unusable)) => {
                (self.choose(cursor, draw)?, Outcome::Chosen { instead_of: Some(unusable) })
            }
            None => (self.choose(cursor, draw)?, Outcome::Chosen { instead_of: None }),
        };
        Ok(Selected { target: Arc::clone(target), outcome, fail_open: self.fail_open })
    }

    /// Chooses for one flow of a network load balancer.
    pub(super) fn select_flow(&self, key: &FlowKey) -> Result<Selected, NoTarget> {
        let (index, outcome) = if self.by_source_ip {
            let targets = self.usable.iter().map(|target| target.addr());
            (source_ip(key.source.ip(), targets), Outcome::Sticky)
        } else {
            (flow_hash(key, self.usable.len()), Outcome::Chosen { instead_of: None })
        };
        let target = index.and_then(|index| self.usable.get(index)).ok_or(NoTarget)?;
        Ok(Selected { target: Arc::clone(target), outcome, fail_open: self.fail_open })
    }

    fn find(&self, addr: SocketAddr) -> Result<&Arc<Target>, Unusable> {
        let found = self.usable.binary_search_by_key(&addr, |target| target.addr()).ok();
        found.and_then(|index| self.usable.get(index)).ok_or_else(|| {
            let known = self.unusable.iter().find(|(known, _)| *known == addr);
            known.map_or(Unusable::NotRegistered, |&(_, why)| why)
        })
    }

    fn choose(&self, cursor: &AtomicUsize, draw: impl FnOnce() -> u32) -> Result<&Arc<Target>, NoTarget> {
        let turn = cursor.fetch_add(1, Ordering::Relaxed);
        let targets = self.usable.len();
        let index = match (self.algorithm, &self.weights) {
            (Algorithm::LeastOutstandingRequests, _) => {
                let candidates =
                    self.usable.iter().enumerate().map(|(at, target)| (at, target.outstanding()));
                balance::least_outstanding_requests(turn, candidates)
            }
            // Flows are chosen for by `select_flow`.
            (Algorithm::RoundRobin, None) | (Algorithm::FlowHash, _) => balance::round_robin(turn, targets),
            (Algorithm::RoundRobin, Some(weights)) => {
                weighted::choose(weighted::in_turn(turn), weights.iter().copied())
            }
            (Algorithm::WeightedRandom { .. }, None) => weighted::choose_evenly(draw(), targets),
            (Algorithm::WeightedRandom { .. }, Some(weights)) => {
                weighted::choose(draw(), weights.iter().copied())
            }
        };
        index.and_then(|index| self.usable.get(index)).ok_or(NoTarget)
    }
}

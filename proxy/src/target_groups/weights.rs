//! Shares of the requests that differ from target to target: slow start and
//! automatic target weights. What changes them as time passes.
//!
//! The state is kept per registered target under the group's lock and is looked
//! at once a second, never by a request: requests read the weights that the
//! selection was published with, and none if none is lowered.

use std::net::SocketAddr;

use tokio::time::Instant;

use super::members::Members;
use crate::{
    balance::{
        anomaly::{self, AnomalyDetection, AnomalyResult, Mitigation, Sample},
        slow_start,
        weighted::WHOLE,
    },
    model::target_group::Algorithm,
    time_scale::TimeScale,
};

/// What the share of one registered target depends on.
#[derive(Debug)]
pub(super) struct Weight {
    slow_start: slow_start::Member<Instant>,
    /// The part of [`WHOLE`] that slow start allows now.
    ramped: u32,
    /// The part of [`WHOLE`] that mitigation leaves now.
    mitigated: u32,
    result: AnomalyResult,
    /// The totals at the last judgement.
    counted: Sample,
}

impl Weight {
    /// A target that is registered while `others_carry` says whether a healthy one is outside slow start.
    pub(super) const fn registered(others_carry: bool) -> Self {
        Self {
            slow_start: slow_start::Member::registered(others_carry),
            ramped: WHOLE,
            mitigated: WHOLE,
            result: AnomalyResult::Normal,
            counted: Sample { requests: 0, errors: 0 },
        }
    }

    /// Whether it is healthy and outside slow start.
    pub(super) const fn carries(&self) -> bool {
        self.slow_start.carries()
    }

    /// Whether it fails unlike the others.
    pub(super) fn is_anomalous(&self) -> bool {
        self.result == AnomalyResult::Anomalous
    }

    /// Whether its share is lowered by mitigation.
    pub(super) const fn is_mitigated(&self) -> bool {
        self.mitigated < WHOLE
    }

    /// `AnomalyDetection`.
    pub(super) const fn anomaly_detection(&self) -> AnomalyDetection {
        let mitigation = if self.is_mitigated() { Mitigation::InEffect } else { Mitigation::None };
        AnomalyDetection { result: self.result, mitigation }
    }
}

impl Members {
    /// The weight of a registered target; [`WHOLE`] of others.
    pub(super) fn weight_of(&self, addr: SocketAddr) -> u32 {
        let found = self.registered.binary_search_by_key(&addr, |member| member.target.addr()).ok();
        let weight = found.and_then(|place| self.registered.get(place)).map(|member| &member.weight);
        // Never both: slow start is for round robin, mitigation for weighted random.
        weight.map_or(WHOLE, |weight| weight.ramped.min(weight.mitigated))
    }

    /// Brings slow start up to the health and the time `now`; says whether a weight has changed.
    pub(super) fn ramp(&mut self, now: Instant, scale: TimeScale) -> bool {
        let duration = self.settings.attributes.slow_start.map(|duration| scale.apply(duration));
        let others_carry =
            self.registered.iter().any(|member| member.weight.carries() && member.is_healthy());
        let mut has_changed = false;
        for member in &mut self.registered {
            let is_healthy = member.is_healthy();
            let state = &mut member.weight.slow_start;
            if is_healthy {
                state.handle_healthy(now, duration.is_some() && others_carry);
            } else {
                state.handle_not_healthy();
            }
            let ramped = match (state.ramping_since(), duration) {
                (Some(since), Some(duration)) => {
                    slow_start::weight(now.saturating_duration_since(since), duration)
                }
                _ => WHOLE,
            };
            if ramped == WHOLE {
                state.end();
            }
            has_changed |= ramped != member.weight.ramped;
            member.weight.ramped = ramped;
        }
        has_changed
    }

    /// Judges the healthy targets if an interval has passed; says whether a result or weight has changed.
    pub(super) fn judge(&mut self, now: Instant, scale: TimeScale) -> bool {
        if self.next_judgement.is_some_and(|next| now < next) {
            return false;
        }
        self.next_judgement = Some(now + scale.apply(anomaly::INTERVAL));
        let mitigates =
            self.settings.attributes.algorithm == Algorithm::WeightedRandom { anomaly_mitigation: true };
        let samples: Vec<Option<Sample>> = self
            .registered
            .iter_mut()
            .map(|member| {
                let totals = member.target.totals();
                let before = std::mem::replace(&mut member.weight.counted, totals);
                member.is_healthy().then(|| Sample {
                    requests: totals.requests.wrapping_sub(before.requests),
                    errors: totals.errors.wrapping_sub(before.errors),
                })
            })
            .collect();
        let judged: Vec<Sample> = samples.iter().copied().flatten().collect();
        let mut results = anomaly::judge(&judged).into_iter();
        let mut has_changed = false;
        for (member, sample) in self.registered.iter_mut().zip(&samples) {
            let result = sample.and_then(|_| results.next()).unwrap_or_default();
            let weight = &mut member.weight;
            if weight.result != result {
                tracing::info!(
                    target_group = self.settings.name,
                    target = %member.target.addr(),
                    result = result.as_str(),
                    "anomaly detection result changed"
                );
            }
            let mitigated = if mitigates { anomaly::next_weight(weight.mitigated, result) } else { WHOLE };
            has_changed |= weight.result != result || weight.mitigated != mitigated;
            weight.result = result;
            weight.mitigated = mitigated;
        }
        has_changed
    }
}

//! Which target group of a `forward` action takes a request: the one its AWSALBTG
//! names, else one by weight.
//!
//! ELB page: "Action types for listener rules", forward actions with multiple
//! target groups. There is no fall-over: a group without targets answers 503,
//! one without healthy targets fails open, whatever the other groups could do.
//! Where ELB does not say: an action whose weights are all 0 answers 503; a
//! cookie of a group that has left the action, or has weight 0 now, counts as
//! none; a malformed one only shows in `error_reason`, and the weights choose.

use std::sync::Arc;

use rand::Rng;

use super::{error::Cause, exchange::Exchange, request::cookie_lines, state::GroupState};
use crate::{
    balance::weighted,
    model::rule::{Forward, WeightedTargetGroup},
    stickiness::target_group_cookie::{self, Decision},
};

/// The target group a request goes to.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The group.
    pub group: Arc<GroupState>,
    /// Whether the response binds the client to it.
    pub is_sticky: bool,
}

/// Chooses the group for the request of `exchange`.
///
/// # Errors
///
/// [`Cause::NoTargets`] when every weight is 0.
pub fn choose(exchange: &mut Exchange<'_>, action: &Forward) -> Result<Chosen, Cause> {
    let is_sticky = action.stickiness.is_some();
    let chosen = match action.target_groups.as_slice() {
        [WeightedTargetGroup { target_group, weight: 1.. }] if !is_sticky => *target_group,
        groups => match named_by_cookie(exchange, action) {
            Some(group) => group.target_group,
            None => {
                let weights = groups.iter().map(|group| u32::from(group.weight));
                let index = weighted::choose(rand::rng().random(), weights).ok_or(Cause::NoTargets)?;
                groups.get(index).ok_or(Cause::Internal)?.target_group
            }
        },
    };
    let group = Arc::clone(exchange.context.state.group(chosen).ok_or(Cause::Internal)?);
    Ok(Chosen { group, is_sticky })
}

/// The group of the action that the request's cookies bind its client to.
fn named_by_cookie(exchange: &mut Exchange<'_>, action: &Forward) -> Option<WeightedTargetGroup> {
    let state = &exchange.context.state;
    let duration = action.stickiness?;
    let keys = exchange.shared.stickiness_keys.load();
    match target_group_cookie::decide(
        cookie_lines(exchange.request()),
        &keys,
        duration,
        exchange.wall_clock(),
    ) {
        Decision::Sticky(id) => {
            let is_named = |index| state.group(index).is_some_and(|group| group.cookie_id == id);
            let mut groups = action.target_groups.iter();
            groups.find(|group| group.weight > 0 && is_named(group.target_group)).copied()
        }
        Decision::New => None,
        Decision::Invalid => {
            exchange.context.error_reason = Some(target_group_cookie::COOKIE_INVALID);
            None
        }
    }
}

//! Stickiness of one request: what its cookie says, and the cookies of its response.

use std::{net::SocketAddr, time::SystemTime};

use http::{HeaderValue, header};
use rand::Rng;

use super::{exchange::Exchange, state::GroupState};
use crate::{
    stickiness::lb_cookie::{self, Decision},
    target_groups::Selected,
};

/// What stickiness says about a request's target.
#[derive(Debug, Clone, Copy)]
pub enum Sticky {
    /// The group has no stickiness.
    Off,
    /// The group has; this is what the request's cookies say.
    On(Decision),
}

impl Sticky {
    /// Reads the request's cookies.
    #[must_use]
    pub fn decide(exchange: &Exchange<'_>, group: &GroupState) -> Self {
        let Some(stickiness) = group.stickiness else {
            return Self::Off;
        };
        let lines = exchange.request().headers.get_all(header::COOKIE).into_iter().map(HeaderValue::as_bytes);
        let keys = exchange.shared.stickiness_keys.load();
        Self::On(lb_cookie::decide(lines, &keys, stickiness.id, stickiness.duration, now_of(exchange)))
    }

    /// The target the client is bound to.
    #[must_use]
    pub const fn target(self) -> Option<SocketAddr> {
        match self {
            Self::On(Decision::Sticky(target)) => Some(target),
            Self::On(Decision::New(_)) | Self::Off => None,
        }
    }

    /// Counts `NonStickyRequestCount`.
    pub fn count(self, group: &GroupState, selected: &Selected) {
        if matches!(self, Self::On(_)) && selected.outcome.is_non_sticky() {
            group.metrics.non_sticky_request_count.inc();
        }
    }

    /// The cookies of the response: renewed with each, on the 101 of an upgrade too.
    #[must_use]
    pub fn set_cookies(
        self,
        exchange: &Exchange<'_>,
        group: &GroupState,
        target: SocketAddr,
    ) -> Option<[HeaderValue; 2]> {
        let stickiness = group.stickiness?;
        let now = now_of(exchange);
        let keys = exchange.shared.stickiness_keys.load();
        let value = lb_cookie::seal(&keys, stickiness.id, target, now, rand::rng().random()).ok()?;
        Some(lb_cookie::set_cookie_headers(&value, exchange.context.state.protocol, now))
    }
}

/// Wall-clock time as the connection reckons it.
fn now_of(exchange: &Exchange<'_>) -> SystemTime {
    exchange.context.connection.meter.wall_clock(tokio::time::Instant::now())
}

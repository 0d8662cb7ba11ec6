//! Stickiness of one request: what its cookies say, and the cookies of its response.

use std::net::SocketAddr;

use http::{HeaderValue, header};
use pingora::http::ResponseHeader;
use rand::Rng;

use super::{
    exchange::Exchange, fault, request::cookie_lines, state::GroupState, weighted_target_groups::Chosen,
};
use crate::{
    model::target_group::Stickiness,
    stickiness::{app_cookie, lb_cookie, target_group_cookie},
    target_groups::{Outcome, Selected},
};

/// What stickiness says about a request's target.
#[derive(Debug, Clone, Copy)]
pub enum Sticky {
    /// The group has no stickiness.
    Off,
    /// The group has `lb_cookie`; this is what the request's cookies say.
    LbCookie(lb_cookie::Decision),
    /// The group has `app_cookie`; this is what the request's cookies say.
    AppCookie(app_cookie::Decision),
}

impl Sticky {
    /// Reads the request's cookies.
    #[must_use]
    pub fn decide(exchange: &Exchange<'_>, group: &GroupState) -> Self {
        let Some(stickiness) = &group.stickiness else {
            return Self::Off;
        };
        let lines = cookie_lines(exchange.request());
        let keys = exchange.shared.stickiness_keys.load();
        let (id, now) = (group.cookie_id, exchange.wall_clock());
        match stickiness {
            Stickiness::LbCookie { duration } => {
                Self::LbCookie(lb_cookie::decide(lines, &keys, id, *duration, now))
            }
            Stickiness::AppCookie { cookie_name, duration } => {
                Self::AppCookie(app_cookie::decide(lines, cookie_name, &keys, (id, *duration), now))
            }
            // Of network load balancers only.
            Stickiness::SourceIp => Self::Off,
        }
    }

    /// The target the client is bound to.
    #[must_use]
    pub const fn target(self) -> Option<SocketAddr> {
        match self {
            Self::LbCookie(lb_cookie::Decision::Sticky(target))
            | Self::AppCookie(app_cookie::Decision::Sticky(target)) => Some(target),
            Self::Off | Self::LbCookie(_) | Self::AppCookie(_) => None,
        }
    }

    /// Counts requests that came back to their target, `NonStickyRequestCount` and `AppCookieNonStickinessCount`.
    pub fn count(self, group: &GroupState, selected: &Selected) {
        if matches!(self, Self::Off) {
            return;
        }
        if selected.outcome == Outcome::Sticky {
            selected.target.count_sticky();
        }
        if selected.outcome.is_non_sticky() {
            group.metrics.non_sticky_request_count.inc();
        }
        if matches!(self, Self::AppCookie(app_cookie::Decision::NoApplicationCookie)) {
            group.metrics.app_cookie_non_stickiness_count.inc();
        }
    }

    /// The load balancer's cookies of a response by `target` of the chosen group: renewed with each, on
    /// the 101 of an upgrade too. Empty, and free, without stickiness.
    #[must_use]
    pub fn set_cookies(
        self,
        exchange: &Exchange<'_>,
        chosen: &Chosen,
        target: SocketAddr,
        response: &ResponseHeader,
    ) -> Vec<HeaderValue> {
        let mut cookies = Vec::new();
        if matches!(self, Self::Off) && !chosen.is_sticky {
            return cookies;
        }
        let (id, protocol) = (chosen.group.cookie_id, exchange.context.state.protocol);
        let now = fault::cookie_clock(&chosen.group, exchange.wall_clock());
        let keys = exchange.shared.stickiness_keys.load();
        let nonce = || rand::rng().random();
        if chosen.is_sticky
            && let Ok(value) = target_group_cookie::seal(&keys, id, now, nonce())
        {
            cookies.extend(target_group_cookie::set_cookie_headers(&value, protocol, now));
        }
        match (self, &chosen.group.stickiness) {
            (Self::LbCookie(_), _) => {
                if let Ok(value) = lb_cookie::seal(&keys, id, target, now, nonce()) {
                    cookies.extend(lb_cookie::set_cookie_headers(&value, protocol, now));
                }
            }
            (Self::AppCookie(decision), Some(Stickiness::AppCookie { cookie_name, .. })) => {
                let is_bound = matches!(decision, app_cookie::Decision::Sticky(_));
                let set = response.headers.get_all(header::SET_COOKIE).into_iter();
                let binds = is_bound || app_cookie::sets_cookie(set.map(HeaderValue::as_bytes), cookie_name);
                let value = binds.then(|| app_cookie::seal(&keys, id, target, now, nonce()).ok()).flatten();
                let user_agent = exchange.request().headers.get(header::USER_AGENT);
                let user_agent = user_agent.map(HeaderValue::as_bytes);
                cookies.extend(app_cookie::set_cookie_headers(value.as_ref(), protocol, user_agent, now));
            }
            (Self::Off | Self::AppCookie(_), _) => {}
        }
        cookies
    }
}

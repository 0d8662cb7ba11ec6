//! Who a session belongs to.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::limits::Places;

/// An authenticated user: Spring's `Principal`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The user's name, a token's `sub`. Messages to `/user/{name}/…` reach the
    /// sessions of this name.
    pub name: String,
    /// What the user may do, a token's scopes and roles.
    pub authorities: Vec<String>,
    /// When the proof of identity expires, a token's `exp` and the clock skew
    /// that is allowed. None: never.
    pub expires_at: Option<SystemTime>,
}

impl Principal {
    /// Whether the proof of identity is over.
    #[must_use]
    pub fn is_expired(&self, now: SystemTime) -> bool {
        self.expires_at.is_some_and(|at| now >= at)
    }

    /// How long the proof of identity still holds. None: for ever.
    #[must_use]
    pub fn time_left(&self, now: SystemTime) -> Option<Duration> {
        self.expires_at.map(|at| at.duration_since(now).unwrap_or_default())
    }

    /// Whether the user has an authority.
    #[must_use]
    pub fn has(&self, authority: &str) -> bool {
        self.authorities.iter().any(|has| has == authority)
    }
}

/// The client of a session as the handshake showed it.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its address, behind trusted proxies.
    pub address: IpAddr,
    /// Who it is, when the handshake proved it. A CONNECT frame may do so later.
    pub principal: Option<Arc<Principal>>,
    /// Its places among the sessions that are counted, given back with the last
    /// clone.
    pub places: Places,
}

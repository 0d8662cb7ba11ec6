//! Whether one more session of an address or a user is let in.

use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;

use tokio::time::Instant;

use crate::metrics::AuthMetrics;

use super::{Connections, Handshakes, Held, Network, Throttle};

/// How many sessions there may be. None: any number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Of one user.
    pub per_user: Option<NonZeroUsize>,
    /// Of one address.
    pub per_address: Option<NonZeroUsize>,
    /// Opened by one address: per second, and at once.
    pub handshakes: Option<(NonZeroU32, NonZeroU32)>,
}

/// Which limit a client met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// The user has as many sessions as it may.
    #[error("too many connections of this user")]
    User,
    /// The address has as many sessions as it may.
    #[error("too many connections from this address")]
    Address,
    /// The address opens sessions too fast.
    #[error("too many handshakes from this address")]
    Handshakes,
}

impl LimitError {
    fn as_str(self) -> &'static str {
        match self {
            Self::User => "connections_per_user",
            Self::Address => "connections_per_address",
            Self::Handshakes => "handshakes",
        }
    }
}

/// The places that a session has; the last clone gives them back.
#[derive(Debug, Clone, Default)]
pub struct Places {
    address: Option<Arc<Held<Network>>>,
    user: Option<Arc<Held<Box<str>>>>,
}

/// Lets sessions in, counts and logs those that it does not.
#[derive(Debug)]
pub struct Admission {
    users: Option<Arc<Connections<Box<str>>>>,
    addresses: Option<Arc<Connections<Network>>>,
    handshakes: Option<Handshakes>,
    metrics: AuthMetrics,
    log: Throttle,
}

impl Admission {
    /// Nobody is here yet.
    #[must_use]
    pub fn new(bounds: Bounds, metrics: AuthMetrics, now: Instant) -> Self {
        Self {
            users: bounds.per_user.map(Connections::new).map(Arc::new),
            addresses: bounds.per_address.map(Connections::new).map(Arc::new),
            handshakes: bounds.handshakes.map(|(per_second, burst)| Handshakes::new(per_second, burst)),
            metrics,
            log: Throttle::new(now),
        }
    }

    /// Counts a handshake of the address, and a session.
    ///
    /// # Errors
    ///
    /// There were too many, or are.
    pub fn address(&self, address: IpAddr) -> Result<Places, LimitError> {
        if self.handshakes.as_ref().is_some_and(|handshakes| !handshakes.admit(address)) {
            return Err(self.refused(LimitError::Handshakes, address));
        }
        let Some(addresses) = &self.addresses else {
            return Ok(Places::default());
        };
        match addresses.hold(Network::from(address)) {
            Some(held) => Ok(Places { address: Some(Arc::new(held)), user: None }),
            None => Err(self.refused(LimitError::Address, address)),
        }
    }

    /// The places of a session that now belongs to a user.
    ///
    /// # Errors
    ///
    /// The user has too many.
    pub fn user(&self, places: &Places, name: &str, address: IpAddr) -> Result<Places, LimitError> {
        let Some(users) = &self.users else {
            return Ok(places.clone());
        };
        if places.user.as_ref().is_some_and(|held| **held.key() == *name) {
            return Ok(places.clone());
        }
        match users.hold(name.into()) {
            Some(held) => Ok(Places { address: places.address.clone(), user: Some(Arc::new(held)) }),
            None => Err(self.refused(LimitError::User, address)),
        }
    }

    fn refused(&self, error: LimitError, address: IpAddr) -> LimitError {
        let limit = error.as_str();
        self.metrics.limits_exceeded.with_label_values(&[limit]).inc();
        if let Some(suppressed) = self.log.pass(Instant::now()) {
            tracing::warn!(%address, limit, suppressed, "session refused");
        }
        error
    }
}

//! How often one address may open sessions.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::Network;

/// After so many addresses were added those that have been idle are forgotten.
const SWEEP: usize = 1024;

/// Addresses that are remembered at most. Above it new ones pass unlimited:
/// `max-connections` still holds.
const ADDRESSES: usize = 65_536;

/// The handshakes of each address.
#[derive(Debug)]
pub struct Handshakes {
    limiter: DefaultKeyedRateLimiter<Network>,
    /// How many addresses there may be before the next sweep.
    sweep_at: AtomicUsize,
}

impl Handshakes {
    /// `per_second` on average, after `burst` at once.
    #[must_use]
    pub fn new(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let quota = Quota::per_second(per_second).allow_burst(burst);
        Self { limiter: RateLimiter::keyed(quota), sweep_at: AtomicUsize::new(SWEEP) }
    }

    /// Counts a handshake of the address; whether it is within the rate.
    #[must_use]
    pub fn admit(&self, address: IpAddr) -> bool {
        if self.limiter.len() >= self.sweep_at.load(Ordering::Relaxed) {
            self.limiter.retain_recent();
            let left = self.limiter.len();
            self.sweep_at.store(left + SWEEP, Ordering::Relaxed);
            if left >= ADDRESSES {
                return true;
            }
        }
        self.limiter.check_key(&Network::from(address)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn each_address_has_its_own_rate() {
        // One a second: of two more at once at least one is refused.
        let handshakes = Handshakes::new(NonZeroU32::MIN, NonZeroU32::new(2).unwrap());
        let (ann, bob) = ("203.0.113.7".parse().unwrap(), "203.0.113.8".parse().unwrap());
        assert!(handshakes.admit(ann) && handshakes.admit(ann));
        assert!(!handshakes.admit(ann) || !handshakes.admit(ann));
        assert!(handshakes.admit(bob));
    }

    #[test]
    fn addresses_that_idle_are_forgotten() {
        // A place is free again after a microsecond.
        let fast = NonZeroU32::new(1_000_000).unwrap();
        let handshakes = Handshakes::new(fast, NonZeroU32::MIN);
        let addresses = (0..100_000).map(|n| IpAddr::V4(Ipv4Addr::from_bits(n)));
        assert!(addresses.filter(|&address| handshakes.admit(address)).count() > 50_000);
        assert!(handshakes.limiter.len() < 50_000, "{}", handshakes.limiter.len());
    }
}

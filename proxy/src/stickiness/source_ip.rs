//! `source_ip`: clients are recognised by their address alone.
//!
//! ELB page: "Edit target group attributes for your Network Load Balancer",
//! sticky sessions. Clients behind one NAT share a target. Nothing is kept: each
//! pair of address and target has a rank, and the usable target of highest rank
//! takes the flow (rendezvous hashing), so that a change among the targets moves
//! only the clients it concerns, and replicas agree without talking. ELB allows
//! itself to forget every binding at such a change. Pure.

use std::{
    hash::{Hash, Hasher},
    net::{IpAddr, SocketAddr},
};

use crate::balance::flow_hash::hash_of;

/// The position of the target that clients from `source` are bound to. `None` if there is no target.
#[must_use]
pub fn source_ip(source: IpAddr, targets: impl Iterator<Item = SocketAddr>) -> Option<usize> {
    let source = source.to_canonical();
    let rank = |target: SocketAddr| hash_of(|hasher| (source, target).hash(hasher));
    targets.enumerate().max_by_key(|(_, target)| rank(*target)).map(|(index, _)| index)
}

/// A number that is the same for all flows from `source`, for the choice among weighted target groups.
#[must_use]
pub fn source_ip_draw(source: IpAddr) -> u32 {
    let hash = hash_of(|hasher| {
        hasher.write(b"target group");
        source.to_canonical().hash(hasher);
    });
    // The upper half.
    u32::try_from(hash >> u32::BITS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn targets(count: u8) -> Vec<SocketAddr> {
        (0..count).map(|n| SocketAddr::from(([10, 0, 0, n], 80))).collect()
    }

    #[test]
    fn addresses_spread_evenly() {
        let targets = targets(3);
        let mut shares = [0_u32; 3];
        for n in 0..30_000_u32 {
            let source = IpAddr::from((0x0a00_0000 + n).to_be_bytes());
            shares[source_ip(source, targets.iter().copied()).unwrap()] += 1;
        }
        assert!(shares.iter().all(|share| (9_700..10_300).contains(share)), "{shares:?}");
    }

    #[test]
    fn an_ipv4_address_in_the_clothes_of_ipv6_is_the_same_client() {
        let plain: IpAddr = "192.0.2.7".parse().unwrap();
        let dressed: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
        let targets = targets(50);
        assert_eq!(source_ip(plain, targets.iter().copied()), source_ip(dressed, targets.iter().copied()));
        assert_eq!(source_ip_draw(plain), source_ip_draw(dressed));
    }

    #[test]
    fn without_targets_there_is_no_choice() {
        assert_eq!(source_ip("192.0.2.7".parse().unwrap(), std::iter::empty()), None);
    }

    proptest! {
        #[test]
        fn a_target_that_leaves_moves_only_its_own_clients(source: [u8; 4], count in 2..20_u8, gone: u8) {
            let all = targets(count);
            let before = all[source_ip(source.into(), all.iter().copied()).unwrap()];
            let left = all[usize::from(gone % count)];
            let rest: Vec<_> = all.into_iter().filter(|target| *target != left).collect();
            let after = rest[source_ip(source.into(), rest.iter().copied()).unwrap()];
            prop_assert!(before == after || before == left);
        }
    }
}

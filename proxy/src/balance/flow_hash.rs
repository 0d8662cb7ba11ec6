//! The flow hash of network load balancers.
//!
//! ELB page: "What is a Network Load Balancer?": a TCP connection goes to the
//! target that a hash of protocol, source IP address and port, destination IP
//! address and port, and TCP sequence number chooses, and stays there. Pure. The
//! sequence number of a connection that the system has accepted is not to be
//! had; it is random to everyone but the client, so a random number stands for it.

use std::{
    hash::{Hash, Hasher},
    net::SocketAddr,
};

/// What tells a flow from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowKey {
    /// Address and port of the client.
    pub source: SocketAddr,
    /// Address and port that the client reached.
    pub destination: SocketAddr,
    /// What stands for the initial sequence number.
    pub sequence: u32,
}

/// The position among `candidates` targets that takes the flow. `None` if there is no candidate.
#[must_use]
pub fn flow_hash(key: &FlowKey, candidates: usize) -> Option<usize> {
    let hash = hash_of(|hasher| {
        key.source.hash(hasher);
        key.destination.hash(hasher);
        key.sequence.hash(hasher);
    });
    // The upper bits spread evenly over any number of candidates.
    let scaled = (u128::from(hash) * u128::try_from(candidates).ok()?) >> u64::BITS;
    usize::try_from(scaled).ok().filter(|index| *index < candidates)
}

/// A hash that is the same in every process and every release of the compiler's library.
pub(crate) fn hash_of(feed: impl FnOnce(&mut Fnv)) -> u64 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    feed(&mut hasher);
    hasher.finish()
}

/// FNV-1a, with a last step that lets every bit of the input reach every bit of the hash.
pub(crate) struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        let mut hash = self.0;
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^ (hash >> 31)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(port: u16, sequence: u32) -> FlowKey {
        FlowKey {
            source: SocketAddr::from(([192, 0, 2, 1], port)),
            destination: SocketAddr::from(([198, 51, 100, 1], 443)),
            sequence,
        }
    }

    #[test]
    fn flows_spread_evenly_by_port_and_by_sequence_number() {
        for by in ["port", "sequence"] {
            let mut shares = [0_u32; 3];
            for n in 0..30_000_u16 {
                let key = if by == "port" { key(n, 7) } else { key(7, n.into()) };
                shares[flow_hash(&key, 3).unwrap()] += 1;
            }
            assert!(shares.iter().all(|share| (9_700..10_300).contains(share)), "{by}: {shares:?}");
        }
    }

    #[test]
    fn without_candidates_there_is_no_choice() {
        assert_eq!(flow_hash(&key(1, 1), 0), None);
    }

    proptest! {
        #[test]
        fn one_flow_is_always_given_the_same_place(port: u16, sequence: u32, candidates in 1..200_usize) {
            let place = flow_hash(&key(port, sequence), candidates).unwrap();
            prop_assert!(place < candidates);
            prop_assert_eq!(flow_hash(&key(port, sequence), candidates), Some(place));
        }
    }
}

//! Addresses that connections come from.
//!
//! One address has some 28,000 ports towards one server, and a closed connection
//! keeps its port for a minute: many connections need many addresses.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, Error, ensure};
use ipnet::IpNet;

/// Addresses of a default range: enough ports for some 100,000 new connections
/// each second, and few enough to be seen in a log.
const LOOPBACK_ADDRESSES: u32 = 250;

/// Where connections come from, in turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sources {
    /// The system chooses.
    System,
    /// These addresses.
    Listed(Arc<[IpAddr]>),
    /// The addresses of a network.
    Network(IpNet),
}

impl Sources {
    /// What suits a server: of a server on 127.0.0.0/8 the first addresses there,
    /// of another what the system chooses.
    pub(crate) fn for_server(server: SocketAddr) -> Self {
        match server.ip() {
            IpAddr::V4(address) if address.is_loopback() => {
                let first = Ipv4Addr::LOCALHOST.to_bits();
                let all = first..first + LOOPBACK_ADDRESSES;
                Self::Listed(all.map(|bits| Ipv4Addr::from_bits(bits).into()).collect())
            }
            _ => Self::System,
        }
    }

    /// The address of the connection with this number.
    pub(crate) fn nth(&self, number: usize) -> Option<IpAddr> {
        match self {
            Self::System => None,
            Self::Listed(all) => all.get(number.checked_rem(all.len())?).copied(),
            Self::Network(IpNet::V4(network)) => {
                // A network address is no host, except in networks of one or two.
                let (first, last) = (network.network().to_bits(), network.broadcast().to_bits());
                let (first, last) = if last - first > 1 { (first + 1, last - 1) } else { (first, last) };
                let offset = u64::try_from(number).ok()? % (u64::from(last - first) + 1);
                Some(Ipv4Addr::from_bits(first + u32::try_from(offset).ok()?).into())
            }
            Self::Network(IpNet::V6(network)) => {
                let (first, last) = (network.network().to_bits(), network.broadcast().to_bits());
                let offset = u128::try_from(number).ok()?;
                let count = (last - first).saturating_add(1);
                Some(IpAddr::V6((first + offset % count).into()))
            }
        }
    }
}

impl FromStr for Sources {
    type Err = Error;

    /// Addresses with commas between them, or one network such as `127.0.0.0/16`.
    fn from_str(text: &str) -> Result<Self, Error> {
        if text.contains('/') {
            return Ok(Self::Network(text.parse().with_context(|| format!("no network: {text}"))?));
        }
        let all: Arc<[IpAddr]> = text
            .split(',')
            .map(|address| address.trim().parse().with_context(|| format!("no address: {address}")))
            .collect::<Result<_, Error>>()?;
        ensure!(!all.is_empty(), "no addresses");
        Ok(Self::Listed(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: [&str; 3]) {
        let sources: Sources = text.parse().unwrap();
        let got = [0, 1, 2].map(|number| sources.nth(number).unwrap().to_string());
        assert_eq!(got, expected);
    }

    #[test]
    fn connections_take_addresses_in_turn() {
        check("127.0.0.9", ["127.0.0.9", "127.0.0.9", "127.0.0.9"]);
        check("127.0.0.1, 127.0.0.2", ["127.0.0.1", "127.0.0.2", "127.0.0.1"]);
        check("10.0.0.0/30", ["10.0.0.1", "10.0.0.2", "10.0.0.1"]);
        check("10.0.0.0/31", ["10.0.0.0", "10.0.0.1", "10.0.0.0"]);
        check("fd00::/127", ["fd00::", "fd00::1", "fd00::"]);
    }

    #[test]
    fn a_server_on_loopback_is_reached_from_many_addresses() {
        let sources = Sources::for_server(([127, 0, 0, 1], 80).into());
        assert_eq!(sources.nth(0), Some([127, 0, 0, 1].into()));
        assert_eq!(sources.nth(249), Some([127, 0, 0, 250].into()));
        assert_eq!(sources.nth(250), Some([127, 0, 0, 1].into()));
        assert_eq!(Sources::for_server(([192, 0, 2, 1], 80).into()), Sources::System);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "localhost", "127.0.0.1,,", "127.0.0.0/40"] {
            assert!(text.parse::<Sources>().is_err(), "{text}");
        }
    }
}

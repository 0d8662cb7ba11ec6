//! What is known of targets, for another process: it goes on with it instead of
//! beginning with targets that are all `initial`, which would be to fail open.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use super::{Group, Registry, Target, members::Members};
use crate::health::{Forced, Health, State, Tracker};

/// What is known of the targets of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The targets that are healthy or unhealthy, or whose health is forced.
    pub targets: Vec<KnownTarget>,
    /// The last answers of lookups.
    pub hosts: Vec<KnownHost>,
}

/// What is known of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTarget {
    /// Where its traffic goes.
    pub addr: SocketAddr,
    /// What its checks have found.
    pub checked: Health,
    /// What an operator said of it.
    pub forced: Option<Forced>,
}

/// A host name and its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownHost {
    /// As configured.
    pub name: String,
    /// As configured.
    pub port: u16,
    /// With the port.
    pub addresses: Vec<SocketAddr>,
}

impl Registry {
    /// What is known of all groups, by name.
    #[must_use]
    pub fn known(&self) -> HashMap<String, Known> {
        self.groups().iter().map(|group| (group.name().to_owned(), group.known())).collect()
    }
}

impl Group {
    fn known(&self) -> Known {
        let mut known = Known::default();
        self.change_members(|members| {
            known = members.known_now();
            false
        });
        known
    }
}

impl Members {
    fn known_now(&self) -> Known {
        let targets = self.registered.iter().map(|member| member.target.known());
        let is_of_use = |target: &KnownTarget| {
            matches!(target.checked.state, State::Healthy | State::Unhealthy) || target.forced.is_some()
        };
        let hosts = self.hosts.iter().filter_map(|host| {
            let addresses = host.addresses.clone()?;
            Some(KnownHost { name: host.name.clone(), port: host.port, addresses })
        });
        Known { targets: targets.filter(is_of_use).collect(), hosts: hosts.collect() }
    }
}

impl Known {
    /// Tells a target that was just registered what is known of it.
    pub(super) fn tell(&self, target: &Arc<Target>) {
        let known = self.targets.iter().find(|known| known.addr == target.addr());
        if let Some(&KnownTarget { checked, forced, .. }) = known {
            target.track(|tracker| {
                tracker.handle_known(checked);
                tracker.handle_forced(forced);
            });
        }
    }

    /// The addresses of a host name that was configured just now.
    pub(super) fn addresses(&self, name: &str, port: u16) -> Option<Vec<SocketAddr>> {
        let known = self.hosts.iter().find(|host| host.name == name && host.port == port);
        known.map(|host| host.addresses.clone())
    }
}

impl Target {
    fn known(&self) -> KnownTarget {
        let mut checked = self.health();
        self.track(|tracker| checked = Tracker::checked(tracker));
        KnownTarget { addr: self.addr(), checked, forced: self.forced() }
    }
}

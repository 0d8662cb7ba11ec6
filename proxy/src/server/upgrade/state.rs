//! What the old process hands over, as JSON.
//!
//! The two may be of different versions: a field that the other does not know is
//! ignored, and one that is missing means to begin anew there. What cannot be read
//! ends the upgrade.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
    time::{Duration, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::{
    config::{AttributeOverrides, Overrides, TargetOverrides},
    health::{Forced, Health, Reason, State as HealthState},
    model::{Target, target_group::TargetId},
    server::tickets::{TicketKeys, seconds},
    stickiness::seal::KEY_LENGTH,
    target_groups::{Known, KnownHost, KnownTarget},
};

/// What was handed over cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("not a state")]
pub struct MalformedState(#[from] serde_json::Error);

/// What a process hands over to the one after it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    stickiness_key: Option<[u8; KEY_LENGTH]>,
    tickets: Option<Tickets>,
    overrides: OverridesRecord,
    groups: BTreeMap<String, GroupRecord>,
    upgrades: u64,
}

/// The same in the words of those who work with it.
#[derive(Clone, Default, PartialEq, Eq)]
pub(in crate::server) struct Carried {
    /// The key of a balancer without key files.
    pub(in crate::server) stickiness_key: Option<[u8; KEY_LENGTH]>,
    /// Keys of TLS session tickets.
    pub(in crate::server) tickets: Option<TicketKeys>,
    /// What was changed through the admin API.
    pub(in crate::server) overrides: Overrides,
    /// What is known of targets, by target group.
    pub(in crate::server) known: HashMap<String, Known>,
    /// How often the program was upgraded, this time included.
    pub(in crate::server) upgrades: u64,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Tickets {
    sealing: [u8; KEY_LENGTH],
    former: Option<[u8; KEY_LENGTH]>,
    until: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct OverridesRecord {
    load_balancers: BTreeMap<String, AttributeOverrides>,
    listeners: Vec<ListenerRecord>,
    target_groups: BTreeMap<String, AttributeOverrides>,
    targets: BTreeMap<String, TargetsRecord>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ListenerRecord {
    load_balancer: String,
    address: SocketAddr,
    attributes: AttributeOverrides,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct TargetsRecord {
    registered: Vec<TargetRecord>,
    deregistered: Vec<TargetRecord>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct TargetRecord {
    id: IdRecord,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum IdRecord {
    Ip(IpAddr),
    HostName(String),
    LoadBalancer { name: String, address: IpAddr },
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct GroupRecord {
    targets: Vec<HealthRecord>,
    hosts: Vec<HostRecord>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct HealthRecord {
    address: SocketAddr,
    /// `healthy`, `unhealthy`, or what is worth nothing.
    state: String,
    reason: Option<String>,
    /// The status code in the reason.
    code: Option<u16>,
    forced: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct HostRecord {
    name: String,
    port: u16,
    addresses: Vec<SocketAddr>,
}

impl std::fmt::Debug for State {
    /// Never the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("overrides", &self.overrides).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Carried {
    /// Never the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { stickiness_key: _, tickets, overrides, known, upgrades } = self;
        let mut shown = f.debug_struct("Carried");
        shown.field("tickets", tickets).field("overrides", overrides).field("known", known);
        shown.field("upgrades", upgrades);
        shown.finish_non_exhaustive()
    }
}

impl State {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // Maps with string keys and plain values only: it cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, MalformedState> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

impl From<Carried> for State {
    fn from(carried: Carried) -> Self {
        let Carried { stickiness_key, tickets, overrides, known, upgrades } = carried;
        let tickets = tickets.map(|TicketKeys { sealing, former, until }| Tickets {
            sealing,
            former,
            until: seconds(until),
        });
        let groups = known.into_iter().map(|(name, known)| (name, GroupRecord::from(known))).collect();
        Self { stickiness_key, tickets, overrides: overrides.into(), groups, upgrades }
    }
}

impl From<State> for Carried {
    fn from(state: State) -> Self {
        let State { stickiness_key, tickets, overrides, groups, upgrades } = state;
        let tickets = tickets.map(|Tickets { sealing, former, until }| TicketKeys {
            sealing,
            former,
            // A time that is out of all reason is over.
            until: UNIX_EPOCH.checked_add(Duration::from_secs(until)).unwrap_or(UNIX_EPOCH),
        });
        let known = groups.into_iter().map(|(name, record)| (name, Known::from(record))).collect();
        Self { stickiness_key, tickets, overrides: overrides.into(), known, upgrades }
    }
}

impl From<Overrides> for OverridesRecord {
    fn from(overrides: Overrides) -> Self {
        let Overrides { load_balancers, listeners, target_groups, targets } = overrides;
        let listeners = listeners.into_iter().map(|((load_balancer, address), attributes)| ListenerRecord {
            load_balancer,
            address,
            attributes,
        });
        let records = |targets: BTreeSet<Target>| targets.into_iter().map(TargetRecord::from).collect();
        let targets = targets.into_iter().map(|(name, TargetOverrides { registered, deregistered })| {
            let record =
                TargetsRecord { registered: records(registered), deregistered: records(deregistered) };
            (name, record)
        });
        Self { load_balancers, listeners: listeners.collect(), target_groups, targets: targets.collect() }
    }
}

impl From<OverridesRecord> for Overrides {
    fn from(record: OverridesRecord) -> Self {
        let OverridesRecord { load_balancers, listeners, target_groups, targets } = record;
        let listeners = listeners.into_iter().map(|listener| {
            let ListenerRecord { load_balancer, address, attributes } = listener;
            ((load_balancer, address), attributes)
        });
        let set = |targets: Vec<TargetRecord>| targets.into_iter().map(Target::from).collect();
        let targets = targets.into_iter().map(|(name, TargetsRecord { registered, deregistered })| {
            (name, TargetOverrides { registered: set(registered), deregistered: set(deregistered) })
        });
        Self { load_balancers, listeners: listeners.collect(), target_groups, targets: targets.collect() }
    }
}

impl From<Target> for TargetRecord {
    fn from(target: Target) -> Self {
        let id = match target.id {
            TargetId::Ip(ip) => IdRecord::Ip(ip),
            TargetId::HostName(name) => IdRecord::HostName(name),
            TargetId::LoadBalancer { name, address } => IdRecord::LoadBalancer { name, address },
        };
        Self { id, port: target.port }
    }
}

impl From<TargetRecord> for Target {
    fn from(record: TargetRecord) -> Self {
        let id = match record.id {
            IdRecord::Ip(ip) => TargetId::Ip(ip),
            IdRecord::HostName(name) => TargetId::HostName(name),
            IdRecord::LoadBalancer { name, address } => TargetId::LoadBalancer { name, address },
        };
        Self { id, port: record.port }
    }
}

impl From<Known> for GroupRecord {
    fn from(known: Known) -> Self {
        let targets = known.targets.into_iter().map(|KnownTarget { addr, checked, forced }| {
            let code = match checked.reason {
                Some(Reason::ResponseCodeMismatch(code)) => Some(code),
                _ => None,
            };
            HealthRecord {
                address: addr,
                state: checked.state.as_str().to_owned(),
                reason: checked.reason.map(|reason| reason.code().to_owned()),
                code,
                forced: forced.map(|forced| forced_as_str(forced).to_owned()),
            }
        });
        let hosts = known.hosts.into_iter();
        let hosts = hosts.map(|KnownHost { name, port, addresses }| HostRecord { name, port, addresses });
        Self { targets: targets.collect(), hosts: hosts.collect() }
    }
}

impl From<GroupRecord> for Known {
    fn from(record: GroupRecord) -> Self {
        let targets = record.targets.into_iter().map(|target| KnownTarget {
            addr: target.address,
            checked: target.health(),
            forced: target.forced.as_deref().and_then(forced_from_str),
        });
        let hosts = record.hosts.into_iter();
        let hosts = hosts.map(|HostRecord { name, port, addresses }| KnownHost { name, port, addresses });
        Self { targets: targets.collect(), hosts: hosts.collect() }
    }
}

impl HealthRecord {
    /// A reason that is not known is a failure like others.
    fn health(&self) -> Health {
        let reason = match (self.reason.as_deref(), self.code) {
            (Some("Target.ResponseCodeMismatch"), Some(code)) => Reason::ResponseCodeMismatch(code),
            (Some("Target.Timeout"), _) => Reason::Timeout,
            (Some("Elb.InternalError"), _) => Reason::InternalError,
            _ => Reason::FailedHealthChecks,
        };
        match self.state.as_str() {
            "healthy" => Health { state: HealthState::Healthy, reason: None },
            "unhealthy" => Health { state: HealthState::Unhealthy, reason: Some(reason) },
            _ => Health { state: HealthState::Initial, reason: Some(Reason::RegistrationInProgress) },
        }
    }
}

const fn forced_as_str(forced: Forced) -> &'static str {
    match forced {
        Forced::Healthy => "healthy",
        Forced::Unhealthy => "unhealthy",
    }
}

fn forced_from_str(text: &str) -> Option<Forced> {
    [Forced::Healthy, Forced::Unhealthy].into_iter().find(|forced| forced_as_str(*forced) == text)
}

#[cfg(test)]
mod tests;

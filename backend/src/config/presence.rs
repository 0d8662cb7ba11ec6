//! `presence.*`.

use std::time::Duration;

use serde::Deserialize;

use super::units;

/// Who is in a room, on which instance.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PresenceConfig {
    /// Whether presence is kept and announced. Default true.
    pub enabled: bool,
    /// What the destinations of rooms begin with: below `/topic/`. Default
    /// `/topic/room.`.
    pub destination_prefix: String,
    /// How often an instance announces all of its sessions; after three of these
    /// in silence it is forgotten. Default `10s`.
    #[serde(deserialize_with = "units::duration")]
    pub announce_interval: Duration,
    /// How long a change waits for others, to be announced with them. Default
    /// `100ms`.
    #[serde(deserialize_with = "units::duration")]
    pub change_delay: Duration,
    /// Users that are named of one instance in one room; further ones are counted
    /// only. From 1 to 100000. Default 1000.
    pub members_limit: usize,
}

impl Default for PresenceConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            destination_prefix: "/topic/room.".to_owned(),
            announce_interval: Duration::from_secs(10),
            change_delay: Duration::from_millis(100),
            members_limit: 1000,
        }
    }
}

impl PresenceConfig {
    /// What the types cannot say, one line each.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut require = |holds: bool, problem: &str| {
            if !holds {
                problems.push(problem.to_owned());
            }
        };
        let prefix = &self.destination_prefix;
        require(
            prefix.len() <= 256
                && prefix.strip_prefix("/topic/").is_some_and(|rest| !rest.starts_with("presence."))
                && prefix.chars().all(|c| c.is_ascii_graphic() && !"*?{}".contains(c)),
            "presence.destination-prefix: must begin with /topic/ and be no pattern, like /topic/room.",
        );
        require(!self.announce_interval.is_zero(), "presence.announce-interval: must be above zero");
        require(!self.change_delay.is_zero(), "presence.change-delay: must be above zero");
        require(
            (1..=100_000).contains(&self.members_limit),
            "presence.members-limit: must be from 1 to 100000",
        );
        problems
    }

    /// Every timer, to be scaled.
    pub(super) fn timers(&mut self) -> Vec<&mut Duration> {
        vec![&mut self.announce_interval, &mut self.change_delay]
    }
}

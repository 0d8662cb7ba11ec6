//! Who gets a relayed message, and the channel it travels on.

use super::glob;

/// A destination, or a queue of a user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// As `/topic/room.general`.
    Destination(String),
    /// Every destination that an Ant pattern matches, as `/topic/room.*`. Only
    /// for an interest: nothing is published to a pattern, and what is received
    /// names its destination. More may be received than the pattern matches, but
    /// never a message twice, also where an interest in its destination lives at
    /// the same time.
    Pattern(String),
    /// The sessions of a user that subscribed to `/user{queue}`.
    User {
        /// The user's name.
        name: String,
        /// As `/queue/private`.
        queue: String,
    },
}

impl Address {
    /// The channel: `ws:/topic/room.general`, `ws:user.42/queue/private`. For a
    /// pattern the glob, in the syntax of Redis, that matches the channels of all
    /// its destinations, and perhaps more.
    #[must_use]
    pub fn channel(&self, prefix: &str) -> String {
        match self {
            Self::Destination(destination) => format!("{prefix}{destination}"),
            Self::Pattern(pattern) => glob::literal(prefix) + &glob::of_ant(pattern),
            Self::User { name, queue } => format!("{prefix}user.{name}{queue}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_those_of_the_spring_relay() {
        let room = Address::Destination("/topic/room.general".to_owned());
        let user = Address::User { name: "42".to_owned(), queue: "/queue/private".to_owned() };
        assert_eq!(room.channel("ws:"), "ws:/topic/room.general");
        assert_eq!(user.channel("ws:"), "ws:user.42/queue/private");
        let rooms = Address::Pattern("/topic/room.*".to_owned());
        assert_eq!(rooms.channel("w*:"), "w\\*:/topic/room.*");
    }
}

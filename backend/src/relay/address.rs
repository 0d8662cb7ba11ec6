//! Who gets a relayed message, and the channel it travels on.

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
            Self::Pattern(pattern) => glob(prefix, pattern),
            Self::User { name, queue } => format!("{prefix}user.{name}{queue}"),
        }
    }
}

/// The prefix as it is, and `*`, `**`, `{variable}` as `*`. A `/` beside `**`
/// may be missing in a destination, so it is left out.
fn glob(prefix: &str, pattern: &str) -> String {
    let mut out = String::with_capacity(prefix.len() + pattern.len());
    literal(&mut out, prefix);
    let pattern = pattern.replace("/**/", "**").replace("/**", "**");
    let mut in_variable = false;
    for c in pattern.chars() {
        match c {
            '}' if in_variable => in_variable = false,
            _ if in_variable => {}
            '*' | '{' => {
                in_variable = c == '{';
                if !out.ends_with('*') {
                    out.push('*');
                }
            }
            '?' => out.push('?'),
            _ => literal(&mut out, c.encode_utf8(&mut [0; 4])),
        }
    }
    out
}

/// Text in which nothing is special to a glob.
fn literal(out: &mut String, text: &str) {
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_glob_of_channels() {
        for (pattern, channel) in [
            ("/topic/room.*", "ws:/topic/room.*"),
            ("/topic/**", "ws:/topic*"),
            ("/topic/**/end", "ws:/topic*end"),
            ("/topic/{room}.?", "ws:/topic/*.?"),
            ("/topic/[a]/*", "ws:/topic/\\[a\\]/*"),
        ] {
            assert_eq!(Address::Pattern(pattern.to_owned()).channel("ws:"), channel);
        }
    }

    #[test]
    fn channels_are_those_of_the_spring_relay() {
        let room = Address::Destination("/topic/room.general".to_owned());
        let user = Address::User { name: "42".to_owned(), queue: "/queue/private".to_owned() };
        assert_eq!(room.channel("ws:"), "ws:/topic/room.general");
        assert_eq!(user.channel("ws:"), "ws:user.42/queue/private");
    }
}

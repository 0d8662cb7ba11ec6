//! What instances tell each other, as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Attendance, NAME_LIMIT, Totals};

/// About as many bytes as the rooms of one announcement have.
const PART_BYTES: usize = 16 * 1024;

/// About as many bytes as a room, or a user, adds to its name.
const OVERHEAD: usize = 48;

/// One message of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Names this run of the instance among all.
    pub id: String,
    /// What the instance is called.
    pub instance: String,
    /// Counts the announcements of this run up.
    pub sequence: u64,
    /// What it is.
    pub kind: Kind,
    /// Rooms by their destination.
    #[serde(default)]
    pub rooms: BTreeMap<String, Announced>,
}

/// What an announcement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The rooms that changed, with the users that changed.
    Changes,
    /// A part of everything.
    Snapshot {
        /// Counts the snapshots.
        number: u64,
        /// How many parts this one has.
        parts: u64,
    },
    /// The instance leaves.
    Leaving,
}

/// The sessions of a room on one instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// All of them.
    pub sessions: u64,
    /// Those without a user.
    pub anonymous: u64,
    /// Users with the number of their sessions, 0 for one who left. Not
    /// necessarily all.
    #[serde(default)]
    pub users: BTreeMap<String, u64>,
}

/// The bytes are no announcement.
#[derive(Debug, thiserror::Error)]
#[error("malformed announcement: {0}")]
pub struct Malformed(#[from] serde_json::Error);

impl Announcement {
    /// The announcement in these bytes.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        Ok(serde_json::from_slice(bytes)?)
    }

    /// The bytes of it.
    ///
    /// # Errors
    ///
    /// Never in practice: every value has a JSON form.
    pub fn encode(&self) -> Result<Vec<u8>, Malformed> {
        Ok(serde_json::to_vec(self)?)
    }
}

/// Rooms spread over announcements of bounded size; always at least one.
#[derive(Debug, Default)]
pub(super) struct Parts {
    full: Vec<BTreeMap<String, Announced>>,
    open: BTreeMap<String, Announced>,
    bytes: usize,
}

impl Parts {
    /// Adds a room with some of its users.
    pub(super) fn add<'a>(
        &mut self,
        room: &str,
        totals: Totals,
        users: impl Iterator<Item = (&'a str, u64)>,
    ) {
        self.room(room, totals);
        for (user, sessions) in users.filter(|(user, _)| user.len() <= NAME_LIMIT) {
            if self.bytes + user.len() + OVERHEAD > PART_BYTES {
                self.finish();
            }
            self.bytes += user.len() + OVERHEAD;
            self.room(room, totals).users.insert(user.to_owned(), sessions);
        }
    }

    /// The room in the part that is open.
    fn room(&mut self, room: &str, totals: Totals) -> &mut Announced {
        if !self.open.contains_key(room) {
            if self.bytes + room.len() + OVERHEAD > PART_BYTES {
                self.finish();
            }
            self.bytes += room.len() + OVERHEAD;
        }
        let Totals { sessions, anonymous } = totals;
        let empty = Announced { sessions, anonymous, users: BTreeMap::new() };
        self.open.entry(room.to_owned()).or_insert(empty)
    }

    fn finish(&mut self) {
        self.bytes = 0;
        self.full.push(std::mem::take(&mut self.open));
    }

    /// The rooms of each announcement.
    pub(super) fn into_rooms(mut self) -> Vec<BTreeMap<String, Announced>> {
        self.finish();
        self.full
    }
}

impl Attendance {
    /// Takes what is announced: totals as they are, users in addition to those
    /// known, at most `limit` of them.
    pub(super) fn update(&mut self, announced: Announced, limit: usize) {
        let Announced { sessions, anonymous, users } = announced;
        self.totals = Totals { sessions, anonymous };
        for (user, sessions) in users {
            if sessions == 0 {
                self.users.remove(&user);
            } else if self.users.contains_key(&user) || self.users.len() < limit {
                self.users.insert(user, sessions);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_has_its_documented_form() {
        let mut parts = Parts::default();
        let totals = Totals { sessions: 3, anonymous: 1 };
        parts.add("/topic/room.a", totals, [("ann", 2), ("bob", 0)].into_iter());
        let announcement = Announcement {
            id: "8f".to_owned(),
            instance: "b1".to_owned(),
            sequence: 7,
            kind: Kind::Snapshot { number: 2, parts: 1 },
            rooms: parts.into_rooms().remove(0),
        };
        let bytes = announcement.encode().unwrap();
        insta::assert_snapshot!(
            String::from_utf8_lossy(&bytes),
            @r#"{"id":"8f","instance":"b1","sequence":7,"kind":{"snapshot":{"number":2,"parts":1}},"rooms":{"/topic/room.a":{"sessions":3,"anonymous":1,"users":{"ann":2,"bob":0}}}}"#
        );
        assert_eq!(Announcement::decode(&bytes).unwrap(), announcement);
        let leaving = br#"{"id":"8f","instance":"b1","sequence":8,"kind":"leaving","more":1}"#;
        assert_eq!(Announcement::decode(leaving).unwrap().kind, Kind::Leaving);
        assert!(Announcement::decode(b"{}").is_err());
    }

    #[test]
    fn much_is_spread_over_parts_of_bounded_size() {
        let mut parts = Parts::default();
        let names: Vec<_> = (0..2000).map(|n| format!("user {n}")).collect();
        parts.add("/topic/room.a", Totals::default(), names.iter().map(|name| (name.as_str(), 1)));
        let long = "x".repeat(NAME_LIMIT + 1);
        parts.add("/topic/room.b", Totals::default(), std::iter::once((long.as_str(), 1)));
        let rooms = parts.into_rooms();
        assert!(rooms.len() > 5);
        let users =
            |rooms: &BTreeMap<String, Announced>| rooms.values().map(|room| room.users.len()).sum::<usize>();
        assert_eq!(rooms.iter().map(users).sum::<usize>(), 2000);
        for part in &rooms {
            assert!(serde_json::to_vec(part).unwrap().len() <= 2 * PART_BYTES);
        }
    }
}

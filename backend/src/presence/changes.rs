//! What has changed since clients were told last.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::report::UserOn;
use super::{Change, Instance, Totals};

/// Rooms with what they were like before.
#[derive(Debug, Default)]
pub(super) struct Changes(BTreeMap<Arc<str>, Before>);

/// A room as clients know it.
#[derive(Debug)]
pub(super) struct Before {
    totals: Totals,
    /// Whether a user was on an instance, for those that may have come or gone.
    users: BTreeMap<(Arc<Instance>, String), bool>,
}

impl Changes {
    /// Whether nothing has.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The room is about to change.
    pub(super) fn note(&mut self, room: &Arc<str>, totals: Totals) -> &mut Before {
        self.0.entry(Arc::clone(room)).or_insert_with(|| Before { totals, users: BTreeMap::new() })
    }

    /// All rooms that were noted, and none any more.
    pub(super) fn take(&mut self) -> BTreeMap<Arc<str>, Before> {
        std::mem::take(&mut self.0)
    }
}

impl Before {
    /// A user is about to come to, or go from, an instance. At most `limit` are
    /// noted.
    pub(super) fn note_user(&mut self, instance: &Arc<Instance>, user: String, was_here: bool, limit: usize) {
        let full = self.users.len() >= limit;
        if let Entry::Vacant(entry) = self.users.entry((Arc::clone(instance), user))
            && !full
        {
            entry.insert(was_here);
        }
    }

    /// What it came to; none when all is as before.
    pub(super) fn compare(
        self,
        room: &str,
        totals: Totals,
        is_here: impl Fn(&Instance, &str) -> bool,
    ) -> Option<Change> {
        let (mut joined, mut left) = (Vec::new(), Vec::new());
        for ((instance, user), was_here) in self.users {
            match (was_here, is_here(&instance, &user)) {
                (false, true) => joined.push(UserOn::new(user, &instance)),
                (true, false) => left.push(UserOn::new(user, &instance)),
                (true, true) | (false, false) => {}
            }
        }
        if joined.is_empty() && left.is_empty() && totals == self.totals {
            return None;
        }
        let Totals { sessions, anonymous } = totals;
        Some(Change { destination: room.to_owned(), sessions, anonymous, joined, left })
    }
}

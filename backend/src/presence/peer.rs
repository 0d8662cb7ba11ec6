//! Another instance, as its announcements tell.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::time::Instant;

use super::announcement::{Announced, Announcement, Kind};
use super::{Attendance, Instance};

/// Rooms that are known of one instance; further ones are left out.
const ROOM_LIMIT: usize = 100_000;

/// Another instance.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) instance: Arc<Instance>,
    pub(super) heard_at: Instant,
    pub(super) rooms: HashMap<Arc<str>, Attendance>,
    sequence: u64,
    /// The snapshot that is coming in.
    incoming: Option<Incoming>,
}

#[derive(Debug)]
struct Incoming {
    number: u64,
    missing: u64,
    rooms: HashMap<Arc<str>, Attendance>,
}

/// A room of a peer as it is to be from now on.
pub(super) type Update = (Arc<str>, Attendance);

impl Peer {
    /// An instance of which nothing is known yet.
    pub(super) fn new(announcement: &Announcement, now: Instant) -> Self {
        let instance = Instance { id: announcement.id.clone(), name: announcement.instance.clone() };
        Self {
            instance: Arc::new(instance),
            heard_at: now,
            rooms: HashMap::new(),
            sequence: 0,
            incoming: None,
        }
    }

    /// Takes an announcement; the rooms that it changes.
    pub(super) fn handle(&mut self, now: Instant, announcement: Announcement, limit: usize) -> Vec<Update> {
        if announcement.sequence <= self.sequence {
            // Delivered twice.
            return Vec::new();
        }
        self.sequence = announcement.sequence;
        self.heard_at = now;
        match announcement.kind {
            Kind::Changes => self.changes(announcement.rooms, limit),
            Kind::Snapshot { number, parts } => self.snapshot(number, parts, announcement.rooms, limit),
            Kind::Leaving => self.emptied(),
        }
    }

    /// Every room without this instance.
    pub(super) fn emptied(&self) -> Vec<Update> {
        self.rooms.keys().map(|room| (Arc::clone(room), Attendance::default())).collect()
    }

    fn changes(&self, rooms: BTreeMap<String, Announced>, limit: usize) -> Vec<Update> {
        let mut updates = Vec::new();
        for (room, announced) in rooms {
            let known = self.rooms.get_key_value(room.as_str());
            if known.is_none() && self.rooms.len() + updates.len() >= ROOM_LIMIT {
                continue;
            }
            let (room, mut attendance) = match known {
                Some((room, attendance)) => (Arc::clone(room), attendance.clone()),
                None => (Arc::from(room), Attendance::default()),
            };
            attendance.update(announced, limit);
            updates.push((room, attendance));
        }
        updates
    }

    /// Nothing happens before all parts are there; with one lost, the next
    /// snapshot makes it good.
    fn snapshot(
        &mut self,
        number: u64,
        parts: u64,
        rooms: BTreeMap<String, Announced>,
        limit: usize,
    ) -> Vec<Update> {
        let current = self.incoming.take().filter(|incoming| incoming.number == number);
        let mut incoming =
            current.unwrap_or_else(|| Incoming { number, missing: parts, rooms: HashMap::new() });
        for (room, announced) in rooms {
            if incoming.rooms.len() < ROOM_LIMIT || incoming.rooms.contains_key(room.as_str()) {
                incoming.rooms.entry(Arc::from(room)).or_default().update(announced, limit);
            }
        }
        incoming.missing = incoming.missing.saturating_sub(1);
        if incoming.missing > 0 {
            self.incoming = Some(incoming);
            return Vec::new();
        }
        let gone = self.rooms.keys().filter(|room| !incoming.rooms.contains_key(*room));
        let mut updates: Vec<_> = gone.map(|room| (Arc::clone(room), Attendance::default())).collect();
        updates.extend(incoming.rooms);
        updates
    }
}

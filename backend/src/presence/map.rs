//! The map of rooms and sessions, replicated between instances.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use tokio::time::{Duration, Instant};

use super::announcement::{Announcement, Kind, Parts};
use super::changes::Changes;
use super::peer::{Peer, Update};
use super::report::{OnInstance, User};
use super::{Attendance, Change, Instance, Report, SILENT_INTERVALS, Totals};

/// Other instances that are known at one time; further ones are left out.
const PEER_LIMIT: usize = 256;

/// How instances and clients are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// From one snapshot to the next.
    pub interval: Duration,
    /// From a change to its announcement; further ones meanwhile go with it.
    pub delay: Duration,
    /// Users of one instance that are named in a room; further ones are counted
    /// only.
    pub users: usize,
}

/// What the owner of a map has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this to the other instances.
    Announce(Announcement),
    /// Tell the clients of this instance.
    Changed(Change),
}

/// Who is in which room.
#[derive(Debug)]
pub struct Map {
    settings: Settings,
    own: Arc<Instance>,
    rooms: HashMap<Arc<str>, Room>,
    peers: HashMap<String, Peer>,
    /// Own rooms and users that changed since the last announcement.
    unannounced: BTreeMap<Arc<str>, BTreeSet<String>>,
    changes: Changes,
    /// When to tell of changes.
    tell_at: Option<Instant>,
    snapshot_at: Instant,
    snapshots: u64,
    sequence: u64,
    outputs: VecDeque<Output>,
}

/// A room of this instance.
#[derive(Debug, Default)]
struct Room {
    sessions: BTreeMap<Arc<str>, Seat>,
    attendance: Attendance,
}

/// A session in a room.
#[derive(Debug)]
struct Seat {
    user: Option<String>,
    subscriptions: u64,
}

impl Map {
    /// An empty map of this instance, which announces itself at once.
    #[must_use]
    pub fn new(own: Instance, settings: Settings, now: Instant) -> Self {
        Self {
            settings,
            own: Arc::new(own),
            rooms: HashMap::new(),
            peers: HashMap::new(),
            unannounced: BTreeMap::new(),
            changes: Changes::default(),
            tell_at: None,
            snapshot_at: now,
            snapshots: 0,
            sequence: 0,
            outputs: VecDeque::new(),
        }
    }

    /// A session of this instance subscribed to a room.
    pub fn handle_join(&mut self, now: Instant, room: &str, session: &Arc<str>, user: Option<&str>) {
        let room = match self.rooms.get_key_value(room) {
            Some((room, _)) => Arc::clone(room),
            None => Arc::from(room),
        };
        if let Some(seat) = self.rooms.get_mut(&room).and_then(|room| room.sessions.get_mut(session)) {
            seat.subscriptions += 1;
            return;
        }
        self.note_own(now, &room, user);
        let Room { sessions, attendance } = self.rooms.entry(room).or_default();
        let seat = Seat { user: user.map(str::to_owned), subscriptions: 1 };
        sessions.insert(Arc::clone(session), seat);
        attendance.totals.sessions += 1;
        match user {
            Some(user) => *attendance.users.entry(user.to_owned()).or_default() += 1,
            None => attendance.totals.anonymous += 1,
        }
    }

    /// A subscription of a session to a room ended.
    pub fn handle_leave(&mut self, now: Instant, room: &str, session: &Arc<str>) {
        let Some((room, Room { sessions, .. })) = self.rooms.get_key_value(room) else {
            return;
        };
        let room = Arc::clone(room);
        let Some(seat) = sessions.get(session) else { return };
        if seat.subscriptions == 1 {
            let user = seat.user.clone();
            self.note_own(now, &room, user.as_deref());
        }
        let Some(Room { sessions, attendance }) = self.rooms.get_mut(&room) else { return };
        let Some(seat) = sessions.get_mut(session) else { return };
        seat.subscriptions -= 1;
        if seat.subscriptions > 0 {
            return;
        }
        let user = sessions.remove(session).and_then(|seat| seat.user);
        attendance.leave(user);
        if sessions.is_empty() {
            self.rooms.remove(&room);
        }
    }

    /// Another instance announced something. False when it was left out, because
    /// there are too many instances.
    pub fn handle_announcement(&mut self, now: Instant, announcement: Announcement) -> bool {
        if announcement.id == self.own.id {
            return true;
        }
        let id = announcement.id.clone();
        let is_leaving = announcement.kind == Kind::Leaving;
        if !self.peers.contains_key(&id) {
            if is_leaving {
                return true;
            }
            if self.peers.len() >= PEER_LIMIT {
                return false;
            }
            self.peers.insert(id.clone(), Peer::new(&announcement, now));
            // It has not heard of us either.
            self.snapshot_at = self.snapshot_at.min(now + self.settings.delay);
        }
        let Some(peer) = self.peers.get_mut(&id) else { return false };
        let updates = peer.handle(now, announcement, self.settings.users);
        self.update(now, &id, updates);
        if is_leaving {
            self.peers.remove(&id);
        }
        true
    }

    /// An instant of [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        let silence = self.settings.interval * SILENT_INTERVALS;
        let silent = self.peers.iter().filter(|(_, peer)| now >= peer.heard_at + silence);
        let silent: Vec<_> = silent.map(|(id, peer)| (id.clone(), peer.emptied())).collect();
        for (id, updates) in silent {
            self.update(now, &id, updates);
            self.peers.remove(&id);
        }
        if now >= self.snapshot_at {
            self.snapshot_at = now + self.settings.interval;
            self.unannounced.clear();
            self.announce_snapshot();
        }
        if self.tell_at.is_some_and(|at| now >= at) {
            self.tell_at = None;
            self.announce_changes();
            self.tell_changes();
        }
    }

    /// This instance leaves: the last thing it announces.
    pub fn handle_shutdown(&mut self) {
        self.announce(Kind::Leaving, BTreeMap::new());
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        let silence = self.settings.interval * SILENT_INTERVALS;
        let silent = self.peers.values().map(|peer| peer.heard_at + silence);
        silent.chain(self.tell_at).chain([self.snapshot_at]).min().unwrap_or(self.snapshot_at)
    }

    /// The next thing to do, or `None` until something is handled.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// How many other instances are known.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.peers.len()
    }

    /// Who is in a room.
    #[must_use]
    pub fn report(&self, room: &str) -> Report {
        let Totals { sessions, anonymous } = self.totals(room);
        let mut all: Vec<_> = self.attendances(room).collect();
        all.sort_unstable_by_key(|(instance, _)| Arc::clone(instance));
        let users = |attendance: &Attendance| {
            let users = attendance.users.iter().take(self.settings.users);
            users.map(|(name, sessions)| User { name: name.clone(), sessions: *sessions }).collect()
        };
        let instances = all.into_iter().map(|(instance, attendance)| OnInstance {
            instance: instance.name.clone(),
            sessions: attendance.totals.sessions,
            anonymous: attendance.totals.anonymous,
            users: users(attendance),
        });
        Report { destination: room.to_owned(), sessions, anonymous, instances: instances.collect() }
    }

    fn attendances(&self, room: &str) -> impl Iterator<Item = (&Arc<Instance>, &Attendance)> {
        let own = self.rooms.get(room).map(|room| (&self.own, &room.attendance));
        let peers = self.peers.values().filter_map(|peer| Some((&peer.instance, peer.rooms.get(room)?)));
        own.into_iter().chain(peers)
    }

    fn totals(&self, room: &str) -> Totals {
        self.attendances(room).fold(Totals::default(), |sum, (_, attendance)| Totals {
            // What others announce may be any number.
            sessions: sum.sessions.saturating_add(attendance.totals.sessions),
            anonymous: sum.anonymous.saturating_add(attendance.totals.anonymous),
        })
    }

    fn is_here(&self, room: &str, instance: &Instance, user: &str) -> bool {
        self.attendances(room)
            .any(|(other, attendance)| **other == *instance && attendance.users.contains_key(user))
    }

    /// A session is about to come or go here.
    fn note_own(&mut self, now: Instant, room: &Arc<str>, user: Option<&str>) {
        let own = Arc::clone(&self.own);
        let users = self.unannounced.entry(Arc::clone(room)).or_default();
        users.extend(user.map(str::to_owned));
        let attendance = self.rooms.get(room).map(|room| &room.attendance);
        let was_here = |user| attendance.is_some_and(|attendance| attendance.users.contains_key(user));
        let user = user.map(|user| (user.to_owned(), was_here(user)));
        self.note(now, room, &own, user);
    }

    /// Something is about to change in a room; with these users perhaps, who were
    /// there or not.
    fn note(
        &mut self,
        now: Instant,
        room: &Arc<str>,
        instance: &Arc<Instance>,
        users: impl IntoIterator<Item = (String, bool)>,
    ) {
        let totals = self.totals(room);
        let before = self.changes.note(room, totals);
        for (user, was_here) in users {
            before.note_user(instance, user, was_here, self.settings.users);
        }
        self.tell_at.get_or_insert(now + self.settings.delay);
    }

    /// Puts rooms of a peer into the state that it announced.
    fn update(&mut self, now: Instant, id: &str, updates: Vec<Update>) {
        for (room, attendance) in updates {
            let Some(peer) = self.peers.get(id) else { return };
            let none = Attendance::default();
            let known = peer.rooms.get(&room).unwrap_or(&none);
            if *known == attendance {
                continue;
            }
            let (old, new) = (&known.users, &attendance.users);
            let gone = old.keys().filter(|user| !new.contains_key(*user)).map(|user| (user.clone(), true));
            let come = new.keys().filter(|user| !old.contains_key(*user)).map(|user| (user.clone(), false));
            let users: Vec<_> = gone.chain(come).collect();
            let instance = Arc::clone(&peer.instance);
            self.note(now, &room, &instance, users);
            let Some(peer) = self.peers.get_mut(id) else { return };
            if attendance.totals.sessions == 0 {
                peer.rooms.remove(&room);
            } else {
                peer.rooms.insert(room, attendance);
            }
        }
    }

    fn announce(&mut self, kind: Kind, rooms: BTreeMap<String, super::Announced>) {
        self.sequence += 1;
        self.outputs.push_back(Output::Announce(Announcement {
            id: self.own.id.clone(),
            instance: self.own.name.clone(),
            sequence: self.sequence,
            kind,
            rooms,
        }));
    }

    fn announce_snapshot(&mut self) {
        let mut parts = Parts::default();
        for (name, Room { attendance, .. }) in &self.rooms {
            let users = attendance.users.iter().map(|(user, sessions)| (user.as_str(), *sessions));
            parts.add(name, attendance.totals, users.take(self.settings.users));
        }
        let rooms = parts.into_rooms();
        self.snapshots += 1;
        let parts = u64::try_from(rooms.len()).unwrap_or(u64::MAX);
        for rooms in rooms {
            self.announce(Kind::Snapshot { number: self.snapshots, parts }, rooms);
        }
    }

    fn announce_changes(&mut self) {
        let mut parts = Parts::default();
        let unannounced = std::mem::take(&mut self.unannounced);
        if unannounced.is_empty() {
            return;
        }
        for (name, users) in &unannounced {
            let none = Attendance::default();
            let attendance = self.rooms.get(name).map_or(&none, |room| &room.attendance);
            let sessions = |user: &String| attendance.users.get(user).copied().unwrap_or_default();
            let users = users.iter().map(|user| (user.as_str(), sessions(user)));
            parts.add(name, attendance.totals, users.take(self.settings.users));
        }
        for rooms in parts.into_rooms() {
            self.announce(Kind::Changes, rooms);
        }
    }

    fn tell_changes(&mut self) {
        if self.changes.is_empty() {
            return;
        }
        for (room, before) in self.changes.take() {
            let here = |instance: &Instance, user: &str| self.is_here(&room, instance, user);
            if let Some(change) = before.compare(&room, self.totals(&room), here) {
                self.outputs.push_back(Output::Changed(change));
            }
        }
    }
}

impl Attendance {
    /// A session is gone.
    fn leave(&mut self, user: Option<String>) {
        self.totals.sessions -= 1;
        let Some(user) = user else {
            self.totals.anonymous -= 1;
            return;
        };
        if let Entry::Occupied(mut entry) = self.users.entry(user) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests;

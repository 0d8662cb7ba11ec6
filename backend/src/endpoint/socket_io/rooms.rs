//! Who is in which namespace and room, on this instance.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::app::gateway::Audience;

use super::member::Member;

type Members = HashMap<Arc<str>, Arc<Member>>;

#[derive(Debug, Default)]
struct Namespace {
    members: Members,
    rooms: HashMap<String, Members>,
}

/// The registry.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    namespaces: RwLock<HashMap<Arc<str>, Namespace>>,
}

impl Rooms {
    /// Adds a client to its namespace.
    pub(super) fn add(&self, member: &Arc<Member>) {
        let mut namespaces = self.namespaces.write();
        let namespace = namespaces.entry(Arc::clone(&member.namespace)).or_default();
        namespace.members.insert(Arc::clone(&member.id), Arc::clone(member));
    }

    /// Takes a client out of its namespace and all rooms. Returns how many rooms
    /// are empty now, and gone.
    pub(super) fn remove(&self, member: &Member) -> usize {
        let mut namespaces = self.namespaces.write();
        let Some(namespace) = namespaces.get_mut(&member.namespace) else { return 0 };
        namespace.members.remove(&member.id);
        let joined: Vec<String> = member.rooms.lock().keys().cloned().collect();
        let emptied = joined.iter().filter(|room| namespace.leave(member, room)).count();
        if namespace.members.is_empty() {
            namespaces.remove(&member.namespace);
        }
        emptied
    }

    /// Puts a client of the namespace into a room. Whether the room is new.
    pub(super) fn join(&self, member: &Arc<Member>, room: &str) -> bool {
        let mut namespaces = self.namespaces.write();
        let Some(namespace) = namespaces.get_mut(&member.namespace) else { return false };
        if !namespace.members.contains_key(&member.id) {
            return false;
        }
        let (members, is_new) = match namespace.rooms.entry(room.to_owned()) {
            Entry::Occupied(entry) => (entry.into_mut(), false),
            Entry::Vacant(entry) => (entry.insert(Members::default()), true),
        };
        members.insert(Arc::clone(&member.id), Arc::clone(member));
        is_new
    }

    /// Takes a client out of a room. Whether the room is empty now, and gone.
    pub(super) fn leave(&self, member: &Member, room: &str) -> bool {
        let mut namespaces = self.namespaces.write();
        namespaces.get_mut(&member.namespace).is_some_and(|namespace| namespace.leave(member, room))
    }

    /// The clients of an audience at this moment, each once.
    pub(super) fn members(&self, namespace: &str, audience: &Audience) -> Vec<Arc<Member>> {
        let namespaces = self.namespaces.read();
        let Some(namespace) = namespaces.get(namespace) else { return Vec::new() };
        match audience {
            Audience::Namespace => namespace.members.values().cloned().collect(),
            Audience::Client(id) => namespace.members.get(id.as_str()).cloned().into_iter().collect(),
            Audience::Rooms(rooms) => match rooms.as_slice() {
                [room] => namespace.rooms.get(room).into_iter().flat_map(HashMap::values).cloned().collect(),
                rooms => {
                    let rooms = rooms.iter().filter_map(|room| namespace.rooms.get(room));
                    let members: Members =
                        rooms.flatten().map(|(id, member)| (Arc::clone(id), Arc::clone(member))).collect();
                    members.into_values().collect()
                }
            },
        }
    }
}

impl Namespace {
    fn leave(&mut self, member: &Member, room: &str) -> bool {
        let Some(members) = self.rooms.get_mut(room) else { return false };
        members.remove(&member.id);
        let is_empty = members.is_empty();
        if is_empty {
            self.rooms.remove(room);
        }
        is_empty
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::super::member::SessionOutbox;
    use super::*;
    use crate::auth::Client;
    use crate::limits::Places;

    fn member(id: &str) -> Arc<Member> {
        let client =
            Client { address: IpAddr::V4(Ipv4Addr::LOCALHOST), principal: None, places: Places::default() };
        let outbox = Arc::new(SessionOutbox::new(1024));
        Arc::new(Member::new(id.into(), "/chat", Arc::new(client), outbox))
    }

    fn ids(rooms: &Rooms, audience: &Audience) -> Vec<String> {
        let mut ids: Vec<_> =
            rooms.members("/chat", audience).iter().map(|member| member.id.to_string()).collect();
        ids.sort();
        ids
    }

    fn in_rooms(names: &[&str]) -> Audience {
        Audience::Rooms(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn an_audience_is_everyone_in_it_once() {
        let rooms = Rooms::default();
        let [a, b, c] = ["a", "b", "c"].map(member);
        for member in [&a, &b, &c] {
            rooms.add(member);
        }
        assert!(rooms.join(&a, "x"));
        assert!(!rooms.join(&b, "x"));
        assert!(rooms.join(&b, "y"));
        assert_eq!(ids(&rooms, &Audience::Namespace), ["a", "b", "c"]);
        assert_eq!(ids(&rooms, &in_rooms(&["x"])), ["a", "b"]);
        assert_eq!(ids(&rooms, &in_rooms(&["x", "y", "z"])), ["a", "b"]);
        assert_eq!(ids(&rooms, &Audience::Client("c".to_owned())), ["c"]);
        assert!(!rooms.leave(&a, "x"));
        assert!(rooms.leave(&b, "x"));
        assert_eq!(ids(&rooms, &in_rooms(&["x"])), Vec::<String>::new());
    }

    #[test]
    fn who_is_gone_is_nowhere() {
        let rooms = Rooms::default();
        let a = member("a");
        assert!(!rooms.join(&a, "x"));
        rooms.add(&a);
        assert!(rooms.join(&a, "x"));
        a.rooms.lock().insert("x".to_owned(), None);
        assert_eq!(rooms.remove(&a), 1);
        assert_eq!(ids(&rooms, &in_rooms(&["x"])), Vec::<String>::new());
        assert!(rooms.namespaces.read().is_empty());
        assert!(!rooms.join(&a, "x"));
    }
}

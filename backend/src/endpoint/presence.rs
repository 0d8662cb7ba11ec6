//! Presence between the sessions of this instance and the relay.
//!
//! Announcements travel under a destination that no client can name. Clients
//! read who is in the room `/topic/room.a` by a subscription to
//! `/app/presence.room.a`, and hear of changes on `/topic/presence.room.a`.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::auth::Principal;
use crate::config::PresenceConfig;
use crate::presence::{Announcement, Instance, Map, Output, Report, Settings};
use crate::relay::Address;

use super::{Content, Services};

/// Where instances announce themselves.
const ANNOUNCEMENTS: &str = "/presence/announcements";

/// Stands before the name of a room, in `/app/…` and `/topic/…`.
const PRESENCE: &str = "presence.";

/// What the destinations of rooms begin with at least.
const TOPIC: &str = "/topic/";

/// The pattern of all that begins with [`TOPIC`].
const ANY_TOPIC: &str = "/topic/**";

/// The content type of all that clients read.
const JSON: &str = "application/json";

/// Who is in which room, on every instance.
#[derive(Debug)]
pub struct Presence {
    map: Mutex<Map>,
    /// Wakes the task that tells of changes.
    changed: Notify,
    prefix: Box<str>,
    enabled: bool,
}

/// A session in a room; dropping it leaves.
#[derive(Debug)]
pub(super) struct Member {
    presence: Arc<Presence>,
    room: Box<str>,
    session: Arc<str>,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.presence.map.lock().handle_leave(Instant::now(), &self.room, &self.session);
        self.presence.changed.notify_one();
    }
}

impl Presence {
    /// Nobody is anywhere. `id` names this run of the instance among all.
    #[must_use]
    pub fn new(config: &PresenceConfig, instance: &str, id: String) -> Self {
        let own = Instance { name: instance.to_owned(), id };
        let settings = Settings {
            interval: config.announce_interval,
            delay: config.change_delay,
            users: config.members_limit,
        };
        Self {
            map: Mutex::new(Map::new(own, settings, Instant::now())),
            changed: Notify::new(),
            prefix: config.destination_prefix.as_str().into(),
            enabled: config.enabled,
        }
    }

    /// Who is in the room of this destination, as `/topic/room.general`, on every
    /// instance; none when it is no room, or presence is off.
    #[must_use]
    pub fn members(&self, destination: &str) -> Option<Report> {
        self.is_room(destination).then(|| self.map.lock().report(destination))
    }

    /// The answer to a subscription to `/app/{name}`; none when the name is not
    /// that of a room's presence.
    pub(super) fn answer(&self, name: &str) -> Option<Content> {
        let report = self.members(&format!("{TOPIC}{}", name.strip_prefix(PRESENCE)?))?;
        Some(content(format!("/app/{name}"), report.to_json()))
    }

    /// A session subscribed to a destination; none when that is no room.
    pub(super) fn join(
        self: &Arc<Self>,
        destination: &str,
        session: &Arc<str>,
        principal: Option<&Principal>,
    ) -> Option<Member> {
        if !self.is_room(destination) {
            return None;
        }
        let user = principal.map(|principal| principal.name.as_str());
        self.map.lock().handle_join(Instant::now(), destination, session, user);
        self.changed.notify_one();
        let (session, room) = (Arc::clone(session), destination.into());
        Some(Member { presence: Arc::clone(self), room, session })
    }

    /// The room, or the pattern of rooms, of which a subscription to a destination
    /// tells who is there: for this the client must be one that may enter.
    pub(super) fn watched(&self, destination: &str) -> Option<String> {
        if !self.enabled {
            return None;
        }
        if let Some(name) = destination.strip_prefix("/app/") {
            return Some(format!("{TOPIC}{}", name.strip_prefix(PRESENCE)?));
        }
        let name = destination.strip_prefix(TOPIC)?;
        match name.strip_prefix(PRESENCE) {
            Some(room) => Some(format!("{TOPIC}{room}")),
            // `p*` matches presence of whatever room.
            None => {
                literal(name).is_some_and(|start| PRESENCE.starts_with(start)).then(|| ANY_TOPIC.to_owned())
            }
        }
    }

    fn is_room(&self, destination: &str) -> bool {
        self.enabled && destination.strip_prefix(&*self.prefix).is_some_and(|id| !id.is_empty())
    }

    /// What is to be done at `now`, and when to come again.
    fn poll(&self, now: Instant) -> (Vec<Output>, Instant) {
        let mut map = self.map.lock();
        if now >= map.poll_timeout() {
            map.handle_timeout(now);
        }
        (std::iter::from_fn(|| map.poll_output()).collect(), map.poll_timeout())
    }
}

impl Services {
    /// Tells other instances and clients of presence, until the server closes;
    /// then the other instances hear that this one leaves.
    pub async fn keep_presence(&self) {
        if !self.presence.enabled {
            return;
        }
        let closing = self.lifecycle.closing();
        // Before the first announcement, so that its answers are heard.
        let _interest = tokio::select! {
            interest = self.relay.interest(Address::Destination(ANNOUNCEMENTS.to_owned())) => interest,
            () = closing.cancelled() => return,
        };
        while !closing.is_cancelled() {
            let (outputs, next) = self.presence.poll(Instant::now());
            for output in outputs {
                self.carry_out(output).await;
            }
            let peers = self.presence.map.lock().peers();
            self.metrics.presence.instances.set(i64::try_from(peers).unwrap_or(i64::MAX));
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = self.presence.changed.notified() => {}
                () = closing.cancelled() => {}
            }
        }
        self.presence.map.lock().handle_shutdown();
        for output in self.presence.poll(Instant::now()).0 {
            self.carry_out(output).await;
        }
    }

    async fn carry_out(&self, output: Output) {
        match output {
            Output::Announce(announcement) => match announcement.encode() {
                Ok(body) => {
                    let address = Address::Destination(ANNOUNCEMENTS.to_owned());
                    self.relay.publish(&address, Some(JSON), &Bytes::from(body));
                    self.count_announcement("sent");
                }
                Err(error) => tracing::error!(%error, "announcement cannot be written"),
            },
            Output::Changed(change) => {
                let room = change.destination.strip_prefix(TOPIC).unwrap_or_default();
                let destination = format!("{TOPIC}{PRESENCE}{room}");
                self.publish_here(&content(destination, change.to_json())).await;
            }
        }
    }

    /// Takes what another instance has published, if it is an announcement.
    pub(super) fn receive_announcement(&self, destination: &str, body: &[u8]) -> bool {
        if destination != ANNOUNCEMENTS {
            return false;
        }
        let result = match Announcement::decode(body) {
            Ok(announcement) => {
                let taken = self.presence.map.lock().handle_announcement(Instant::now(), announcement);
                self.presence.changed.notify_one();
                if taken { "received" } else { "refused" }
            }
            Err(error) => {
                tracing::warn!(%error, "announcement of another instance ignored");
                "malformed"
            }
        };
        self.count_announcement(result);
        true
    }

    fn count_announcement(&self, result: &str) {
        self.metrics.presence.announcements.with_label_values(&[result]).inc();
    }
}

/// What stands before the first wildcard; none where there is no wildcard.
fn literal(pattern: &str) -> Option<&str> {
    pattern.find(['*', '?', '{']).and_then(|end| pattern.get(..end))
}

fn content(destination: String, body: Vec<u8>) -> Content {
    Content::new(destination, vec![("content-type".to_owned(), JSON.to_owned())], Bytes::from(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_of_a_room_is_known_and_patterns_that_may() {
        let watched = |enabled: bool, destination: &str| {
            let config = PresenceConfig { enabled, ..PresenceConfig::default() };
            Presence::new(&config, "b1", "id".to_owned()).watched(destination)
        };
        for (destination, room) in [
            ("/app/presence.room.a", Some("/topic/room.a")),
            ("/topic/presence.room.a", Some("/topic/room.a")),
            ("/topic/presence.room.*", Some("/topic/room.*")),
            ("/topic/presence.*", Some("/topic/*")),
            ("/topic/pre*.room.a", Some(ANY_TOPIC)),
            ("/topic/{what}", Some(ANY_TOPIC)),
            ("/topic/**", Some(ANY_TOPIC)),
            ("/topic/room.*", None),
            ("/topic/room.a", None),
            ("/topic/p", None),
            ("/app/room.a", None),
            ("/user/queue/presence.room.a", None),
        ] {
            assert_eq!(watched(true, destination).as_deref(), room, "{destination}");
            assert_eq!(watched(false, destination), None, "{destination}");
        }
    }
}

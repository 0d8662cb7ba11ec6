//! Maps that talk to each other over a network that loses and repeats.

use proptest::prelude::*;

use super::super::Announced;
use super::*;

const ROOM: &str = "/topic/room.a";
const INTERVAL: Duration = Duration::from_secs(10);
const DELAY: Duration = Duration::from_millis(100);

/// Instances, and the time they share.
struct Cluster {
    maps: Vec<Map>,
    now: Instant,
    told: Vec<(usize, Change)>,
}

fn session(n: usize) -> Arc<str> {
    Arc::from(format!("s{n}"))
}

fn map(n: usize, users: usize, now: Instant) -> Map {
    let own = Instance { name: format!("b{n}"), id: format!("id{n}") };
    Map::new(own, Settings { interval: INTERVAL, delay: DELAY, users }, now)
}

impl Cluster {
    fn new(instances: usize) -> Self {
        let now = Instant::now();
        let maps = (0..instances).map(|n| map(n, 100, now)).collect();
        let mut cluster = Self { maps, now, told: Vec::new() };
        cluster.advance(INTERVAL);
        cluster
    }

    /// Lets time pass in steps, with every announcement delivered.
    fn advance(&mut self, by: Duration) {
        self.advance_through(by, |_, _| 1);
    }

    /// The same, where `copies` says how often an announcement from one reaches
    /// another.
    fn advance_through(&mut self, by: Duration, mut copies: impl FnMut(usize, usize) -> usize) {
        let end = self.now + by;
        while self.now < end {
            self.now += DELAY;
            for from in 0..self.maps.len() {
                for announcement in self.step(from) {
                    for to in (0..self.maps.len()).filter(|to| *to != from) {
                        for _ in 0..copies(from, to) {
                            assert!(self.maps[to].handle_announcement(self.now, announcement.clone()));
                        }
                    }
                }
            }
        }
    }

    fn step(&mut self, n: usize) -> Vec<Announcement> {
        let map = &mut self.maps[n];
        if self.now >= map.poll_timeout() {
            map.handle_timeout(self.now);
        }
        let mut announcements = Vec::new();
        while let Some(output) = map.poll_output() {
            match output {
                Output::Announce(announcement) => {
                    let bytes = announcement.encode().unwrap();
                    announcements.push(Announcement::decode(&bytes).unwrap());
                }
                Output::Changed(change) => self.told.push((n, change)),
            }
        }
        announcements
    }

    fn join(&mut self, n: usize, who: usize, user: Option<&str>) {
        self.maps[n].handle_join(self.now, ROOM, &session(who), user);
    }

    fn leave(&mut self, n: usize, who: usize) {
        self.maps[n].handle_leave(self.now, ROOM, &session(who));
    }

    /// `b0: ann 2, 1 anonymous; b1: …` as an instance sees it.
    fn seen_by(&self, n: usize) -> String {
        let report = self.maps[n].report(ROOM);
        let shown = report.instances.iter().map(|on| {
            let users = on.users.iter().map(|user| format!("{} {}, ", user.name, user.sessions));
            format!("{}: {}{} anonymous", on.instance, users.collect::<String>(), on.anonymous)
        });
        shown.collect::<Vec<_>>().join("; ")
    }

    /// What an instance told its clients: `+ann@b0 -bob@b1 =sessions`.
    fn told_by(&mut self, n: usize) -> Vec<String> {
        let (of, rest) = std::mem::take(&mut self.told).into_iter().partition(|(by, _)| *by == n);
        self.told = rest;
        let shown = |(_, change): (usize, Change)| {
            let joined = change.joined.iter().map(|user| format!("+{}@{} ", user.name, user.instance));
            let left = change.left.iter().map(|user| format!("-{}@{} ", user.name, user.instance));
            format!("{}={}", joined.chain(left).collect::<String>(), change.sessions)
        };
        Vec::into_iter(of).map(shown).collect()
    }
}

#[test]
fn every_instance_knows_who_is_where() {
    let mut cluster = Cluster::new(3);
    cluster.join(0, 1, Some("ann"));
    cluster.join(0, 2, Some("ann"));
    cluster.join(1, 3, Some("bob"));
    cluster.join(1, 4, None);
    cluster.advance(2 * DELAY);
    for n in 0..3 {
        assert_eq!(cluster.seen_by(n), "b0: ann 2, 0 anonymous; b1: bob 1, 1 anonymous");
    }
    cluster.leave(0, 1);
    cluster.leave(1, 3);
    cluster.leave(1, 4);
    cluster.advance(2 * DELAY);
    for n in 0..3 {
        assert_eq!(cluster.seen_by(n), "b0: ann 1, 0 anonymous");
    }
    cluster.leave(0, 2);
    cluster.leave(0, 2);
    cluster.advance(2 * DELAY);
    assert!((0..3).all(|n| cluster.seen_by(n).is_empty()));
    assert!(cluster.maps.iter().all(|map| map.rooms.is_empty()));
}

#[test]
fn a_session_with_two_subscriptions_is_one() {
    let mut cluster = Cluster::new(1);
    cluster.join(0, 1, Some("ann"));
    cluster.join(0, 1, Some("ann"));
    cluster.leave(0, 1);
    assert_eq!(cluster.seen_by(0), "b0: ann 1, 0 anonymous");
    cluster.leave(0, 1);
    assert_eq!(cluster.seen_by(0), "");
}

#[test]
fn clients_of_every_instance_hear_what_it_came_to() {
    let mut cluster = Cluster::new(2);
    cluster.join(0, 1, Some("ann"));
    cluster.join(0, 2, Some("bob"));
    cluster.leave(0, 2);
    cluster.join(0, 3, None);
    cluster.advance(3 * DELAY);
    assert_eq!(cluster.told_by(0), ["+ann@b0 =2"]);
    assert_eq!(cluster.told_by(1), ["+ann@b0 =2"]);
    // A second session is no news of the user, but one more in the room.
    cluster.join(1, 4, Some("ann"));
    cluster.join(0, 5, Some("ann"));
    cluster.leave(0, 1);
    cluster.leave(0, 3);
    cluster.advance(3 * DELAY);
    assert_eq!(cluster.told_by(0).last().unwrap(), "+ann@b1 =2");
    cluster.join(0, 6, None);
    cluster.leave(0, 6);
    cluster.told.clear();
    cluster.advance(2 * INTERVAL);
    assert!(cluster.told.is_empty());
}

#[test]
fn what_was_lost_is_made_good_by_the_next_snapshot() {
    let mut cluster = Cluster::new(2);
    cluster.join(0, 1, Some("ann"));
    cluster.join(0, 2, Some("bob"));
    cluster.advance(2 * DELAY);
    cluster.leave(0, 1);
    cluster.join(0, 3, Some("cid"));
    cluster.advance_through(2 * DELAY, |_, _| 0);
    assert_eq!(cluster.seen_by(1), "b0: ann 1, bob 1, 0 anonymous");
    cluster.advance(INTERVAL);
    assert_eq!(cluster.seen_by(1), "b0: bob 1, cid 1, 0 anonymous");
}

#[test]
fn an_instance_that_leaves_is_gone_and_a_silent_one_after_three_intervals() {
    let mut cluster = Cluster::new(3);
    cluster.join(1, 1, Some("ann"));
    cluster.join(2, 2, Some("bob"));
    cluster.advance(2 * DELAY);
    cluster.maps[1].handle_shutdown();
    for leaving in cluster.step(1) {
        cluster.maps[0].handle_announcement(cluster.now, leaving);
    }
    assert_eq!((cluster.seen_by(0).as_str(), cluster.maps[0].peers()), ("b2: bob 1, 0 anonymous", 1));
    cluster.told.clear();
    cluster.advance_through(2 * INTERVAL, |_, _| 0);
    assert_eq!(cluster.seen_by(0), "b2: bob 1, 0 anonymous");
    cluster.advance_through(INTERVAL + DELAY, |_, _| 0);
    assert_eq!((cluster.seen_by(0).as_str(), cluster.maps[0].peers()), ("", 0));
    cluster.advance_through(2 * DELAY, |_, _| 0);
    assert_eq!(cluster.told_by(0).last().unwrap(), "-bob@b2 =0");
}

#[test]
fn a_new_instance_soon_knows_all() {
    let mut cluster = Cluster::new(2);
    cluster.join(0, 1, Some("ann"));
    cluster.advance(INTERVAL / 2);
    cluster.maps.push(map(2, 100, cluster.now));
    cluster.advance(3 * DELAY);
    assert_eq!(cluster.seen_by(2), "b0: ann 1, 0 anonymous");
}

#[test]
fn a_large_room_is_counted_in_full_and_named_in_part() {
    let mut cluster = Cluster::new(1);
    cluster.maps.push(map(1, 10, cluster.now));
    for n in 0..3000 {
        cluster.join(0, n, Some(&format!("user with a long name {n}")));
    }
    cluster.advance(2 * INTERVAL);
    for n in 0..2 {
        let report = cluster.maps[n].report(ROOM);
        assert_eq!((report.sessions, report.anonymous), (3000, 0));
        assert_eq!(report.instances[0].users.len(), [100, 10][n]);
    }
}

#[test]
fn instances_beyond_the_limit_are_left_out() {
    let mut cluster = Cluster::new(1);
    for n in 1..PEER_LIMIT + 3 {
        let mut other = map(n, 1, cluster.now);
        other.handle_timeout(cluster.now);
        let Some(Output::Announce(announcement)) = other.poll_output() else { panic!() };
        assert_eq!(cluster.maps[0].handle_announcement(cluster.now, announcement), n <= PEER_LIMIT);
    }
}

proptest! {
    #[test]
    fn all_agree_once_nothing_is_lost_any_more(
        steps in prop::collection::vec((0..3_usize, 0..8_usize, any::<bool>()), 1..60),
        copies in prop::collection::vec(0..3_usize, 1..50),
    ) {
        let mut cluster = Cluster::new(3);
        let mut copies = copies.into_iter().cycle();
        let mut sessions = BTreeSet::new();
        for (n, who, pause) in steps {
            // A session is on one instance.
            let who = who * 3 + n;
            let user = (who % 4 != 0).then(|| format!("user{}", who % 5));
            if sessions.insert(who) {
                cluster.join(n, who, user.as_deref());
            } else {
                sessions.remove(&who);
                cluster.leave(n, who);
            }
            if pause {
                cluster.advance_through(DELAY, |_, _| copies.next().unwrap_or(1));
            }
        }
        cluster.advance(2 * INTERVAL);
        let seen = cluster.seen_by(0);
        prop_assert_eq!(&seen, &cluster.seen_by(1));
        prop_assert_eq!(&seen, &cluster.seen_by(2));
        prop_assert_eq!(cluster.maps[0].report(ROOM).sessions, sessions.len() as u64);
    }
}

#[test]
fn no_announced_number_is_too_large() {
    let now = Instant::now();
    let mut map = map(0, 100, now);
    let room = Announced { sessions: u64::MAX, anonymous: u64::MAX, users: BTreeMap::new() };
    for id in ["id1", "id2"] {
        let announcement = Announcement {
            id: id.to_owned(),
            instance: "b1".to_owned(),
            sequence: u64::MAX,
            kind: Kind::Changes,
            rooms: [(ROOM.to_owned(), room.clone())].into(),
        };
        assert!(map.handle_announcement(now, announcement));
    }
    map.handle_join(now, ROOM, &session(0), None);
    assert_eq!(map.report(ROOM).sessions, u64::MAX);
}

//! The idle timer's decisions, without sockets.

use std::time::Duration;

use tokio::time::Instant;

use crate::tunnel::{
    Keepalive,
    idle::{Packets, Silence},
};

const TIMEOUT: Duration = Duration::from_secs(80);

const SETTLED: Packets = Packets { received: 0, unacked: false };

/// A tunnel's timer and what its connections are made to tell.
struct Sim {
    silence: Silence,
    start: Instant,
    now: Instant,
}

impl Sim {
    fn new(keepalive: Keepalive) -> Self {
        let start = Instant::now();
        let silence = Silence::new(start, TIMEOUT, keepalive);
        Self { now: silence.due(), silence, start }
    }

    fn second(&self) -> u64 {
        (self.now - self.start).as_secs()
    }

    /// Looks when it is due; `false`: the silence has lasted too long.
    fn look(&mut self, last_byte: u64, packets: [Packets; 2]) -> bool {
        let last_byte = (self.start + Duration::from_secs(last_byte)).min(self.now);
        let due = self.silence.look(self.now, last_byte, || packets.map(Some));
        self.now = due.unwrap_or(self.now);
        due.is_some()
    }
}

/// The seconds after the start at which a tunnel ends whose last byte passed at `last_byte` and whose client
/// sends keepalives at the seconds of `keepalives`; and after how many looks its
/// keepalives were answered. Both sides answer to keepalives of our own for ever.
fn end(keepalive: Keepalive, last_byte: u64, keepalives: &[u64]) -> (u64, u32) {
    let mut sim = Sim::new(keepalive);
    let (mut answers, mut answered) = (0, 0);
    loop {
        let second = sim.second();
        // What came along with bytes is packets too.
        let with_bytes = if last_byte <= second { 10 } else { 0 };
        let alone: u32 = keepalives.iter().filter(|&&at| at <= second).map(|_| 1).sum();
        let client = Packets { received: with_bytes + alone + answers, unacked: false };
        let target = Packets { received: answers, unacked: false };
        if !sim.look(last_byte, [client, target]) {
            return (second, answered);
        }
        if sim.silence.answers() {
            answers += 1;
            answered += 1;
        }
    }
}

#[test]
fn silence_lasts_from_the_last_byte_to_the_timeout() {
    for keepalive in [Keepalive::Counts, Keepalive::Answered, Keepalive::DoesNotCount] {
        assert_eq!(end(keepalive, 0, &[]), (80, 0));
        assert_eq!(end(keepalive, 33, &[]), (113, 0));
        assert_eq!(end(keepalive, 79, &[]), (159, 0));
    }
}

#[test]
fn a_keepalive_begins_the_silence_anew_and_is_seen_up_to_an_eighth_late() {
    assert_eq!(end(Keepalive::Counts, 0, &[45]), (130, 0));
    assert_eq!(end(Keepalive::Counts, 0, &[45, 90, 135]), (220, 0));
    assert_eq!(end(Keepalive::Counts, 5, &[79]), (160, 0));
    assert_eq!(end(Keepalive::DoesNotCount, 0, &[45, 90, 135]), (80, 0));
}

#[test]
fn an_acknowledgement_that_comes_after_a_look_is_no_keepalive() {
    for keepalive in [Keepalive::Counts, Keepalive::Answered] {
        // A byte is written to the target at second 9 and acknowledged at second 11.
        let mut sim = Sim::new(keepalive);
        assert!(sim.look(9, [SETTLED, Packets { received: 0, unacked: true }]));
        let acknowledged = Packets { received: 1, unacked: false };
        while sim.look(9, [SETTLED, acknowledged]) {
            assert!(!sim.silence.answers());
        }
        assert_eq!(sim.second(), 89, "{keepalive:?}");
    }
}

#[test]
fn a_side_that_owes_no_acknowledgement_is_heard_although_the_other_does() {
    let mut sim = Sim::new(Keepalive::Counts);
    let waits = Packets { received: 0, unacked: true };
    assert!(sim.look(9, [SETTLED, waits]));
    assert!(sim.look(9, [Packets { received: 1, unacked: false }, waits]));
    while sim.look(9, [Packets { received: 1, unacked: false }, waits]) {}
    assert_eq!(sim.second(), 100);
}

#[test]
fn keepalives_are_answered_when_one_side_is_heard_twice_in_a_row() {
    assert_eq!(end(Keepalive::Answered, 0, &[45]), (130, 0), "one may be a stray packet");
    assert_eq!(end(Keepalive::Answered, 0, &[45, 65]), (150, 0), "not in a row");
    assert_eq!(end(Keepalive::Answered, 52, &[45, 55, 65]), (150, 0), "a byte in between");
    assert_eq!(end(Keepalive::Counts, 0, &[45, 55]), (140, 0), "not on such a listener");
    assert!(end(Keepalive::Answered, 0, &[45, 55]).1 > 0);

    let mut sim = Sim::new(Keepalive::Answered);
    let heard = Packets { received: 1, unacked: false };
    assert!(sim.look(0, [SETTLED, SETTLED]));
    assert!(sim.look(0, [heard, SETTLED]));
    assert!(sim.look(0, [heard, heard]));
    assert!(!sim.silence.answers(), "each side once");
}

#[test]
fn answers_to_our_own_keepalives_do_not_keep_the_tunnel_open() {
    // Answered from second 60 to 140, then the silence begins.
    assert_eq!(end(Keepalive::Answered, 0, &[45, 55]), (220, 8));
}

#[test]
fn a_tunnel_never_ends_early_and_at_most_two_timeouts_and_two_looks_after_the_last_keepalive() {
    for every in 1..80 {
        let keepalives: Vec<u64> = (1..=1000 / every).map(|n| n * every).collect();
        let last = *keepalives.last().unwrap();
        let (end, answered) = end(Keepalive::Answered, 0, &keepalives);
        assert!((last + 80..=last + 180).contains(&end), "every {every} s until {last}: {end}");
        let looks = end / 10;
        match every {
            // Two thirds of the time at least.
            1..=10 => assert!(u64::from(answered) * 3 >= looks * 2, "every {every} s: {answered} of {looks}"),
            20.. => assert_eq!(answered, 0, "every {every} s"),
            _ => {}
        }
    }
}

#[test]
fn a_connection_that_cannot_tell_is_as_one_without_keepalives() {
    let start = Instant::now();
    let mut silence = Silence::new(start, TIMEOUT, Keepalive::Counts);
    let mut looks = 1;
    let mut now = silence.due();
    while let Some(next) = silence.look(now, start, || [None, None]) {
        (now, looks) = (next, looks + 1);
    }
    assert_eq!((now - start, looks), (TIMEOUT, 8));
}

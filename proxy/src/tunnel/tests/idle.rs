//! The idle timer's decisions, without sockets.

use std::time::Duration;

use tokio::time::Instant;

use crate::tunnel::{Keepalive, idle::Silence};

const TIMEOUT: Duration = Duration::from_secs(80);

/// Seconds after the start at which a tunnel ends whose last byte passed at `last_byte` and whose
/// peers send keepalives at the seconds of `keepalives`.
fn end(keepalive: Keepalive, last_byte: u64, keepalives: &[u64]) -> u64 {
    let start = Instant::now();
    let second = |n| start + Duration::from_secs(n);
    let mut silence = Silence::new(start, TIMEOUT, keepalive);
    let mut now = silence.first_look();
    loop {
        // What came along with bytes is packets too.
        let with_bytes = u64::from(second(last_byte) <= now) * 10;
        let alone = keepalives.iter().filter(|&&at| second(at) <= now).count() as u64;
        let seen = second(last_byte).min(now);
        match silence.look(now, seen, || Some(with_bytes + alone)) {
            Some(next) => now = next,
            None => return (now - start).as_secs(),
        }
    }
}

#[test]
fn silence_lasts_from_the_last_byte_to_the_timeout() {
    for keepalive in [Keepalive::Counts, Keepalive::DoesNotCount] {
        assert_eq!(end(keepalive, 0, &[]), 80);
        assert_eq!(end(keepalive, 33, &[]), 113);
        assert_eq!(end(keepalive, 79, &[]), 159);
    }
}

#[test]
fn a_keepalive_begins_the_silence_anew_and_is_seen_up_to_an_eighth_late() {
    assert_eq!(end(Keepalive::Counts, 0, &[45]), 130);
    assert_eq!(end(Keepalive::Counts, 0, &[45, 90, 135]), 220);
    assert_eq!(end(Keepalive::Counts, 5, &[79]), 160);
    assert_eq!(end(Keepalive::DoesNotCount, 0, &[45, 90, 135]), 80);
}

#[test]
fn a_connection_that_cannot_tell_is_as_one_without_keepalives() {
    let start = Instant::now();
    let mut silence = Silence::new(start, TIMEOUT, Keepalive::Counts);
    let mut looks = 1;
    let mut now = silence.first_look();
    while let Some(next) = silence.look(now, start, || None) {
        (now, looks) = (next, looks + 1);
    }
    assert_eq!((now - start, looks), (TIMEOUT, 8));
}

//! TLS session tickets (RFC 5077, RFC 8446 section 4.6.1) whose keys can be handed
//! over to another process, which the TLS library's own maker of tickets cannot.
//!
//! Like that one, a key seals for six hours and opens for six more, so that a
//! ticket is good for at least six hours and a key is forgotten after twelve.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use rand::CryptoRng;
use rustls::server::ProducesTickets;

use crate::stickiness::seal::{KEY_LENGTH, Keys, NONCE_LENGTH, draw};

/// How long a key seals. Not scaled: clients keep tickets by their own clocks.
const TURN: Duration = Duration::from_secs(6 * 60 * 60);
/// `ticket_lifetime_hint`, in seconds: as long as a ticket may be good for at most.
const LIFETIME: u32 = 12 * 60 * 60;
/// Keeps tickets from being taken for cookies.
const CONTEXT: &[u8] = b"TLS session ticket";

/// The keys of session tickets.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct TicketKeys {
    /// Seals and opens.
    pub(super) sealing: [u8; KEY_LENGTH],
    /// Only opens.
    pub(super) former: Option<[u8; KEY_LENGTH]>,
    /// Until when `sealing` seals.
    pub(super) until: SystemTime,
}

/// Makes and opens session tickets.
pub(super) struct SessionTickets(Mutex<State>);

struct State {
    keys: TicketKeys,
    cipher: Keys,
}

impl TicketKeys {
    /// One new key.
    pub(super) fn generate(now: SystemTime, random: &mut impl CryptoRng) -> Self {
        Self { sealing: draw(random), former: None, until: now + TURN }
    }

    /// The keys at `now`; says whether they have changed.
    fn turn(&mut self, now: SystemTime, random: &mut impl CryptoRng) -> bool {
        let Ok(over) = now.duration_since(self.until) else {
            return false;
        };
        let is_former = over < TURN;
        let former = std::mem::replace(&mut self.sealing, draw(random));
        self.former = is_former.then_some(former);
        self.until = now + TURN;
        true
    }

    fn cipher(&self) -> Keys {
        Keys::new(&self.sealing, self.former.as_slice())
    }
}

impl fmt::Debug for TicketKeys {
    /// Never the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketKeys").finish_non_exhaustive()
    }
}

impl SessionTickets {
    /// Begins with these keys.
    pub(super) fn new(keys: TicketKeys) -> Self {
        Self(Mutex::new(State { cipher: keys.cipher(), keys }))
    }

    /// The keys now.
    pub(super) fn keys(&self) -> TicketKeys {
        self.0.lock().keys.clone()
    }

    fn with_cipher<T>(&self, now: SystemTime, work: impl FnOnce(&Keys) -> T) -> T {
        let mut state = self.0.lock();
        if state.keys.turn(now, &mut rand::rng()) {
            state.cipher = state.keys.cipher();
        }
        work(&state.cipher)
    }

    fn seal(&self, now: SystemTime, session: &[u8], nonce: [u8; NONCE_LENGTH]) -> Option<Vec<u8>> {
        self.with_cipher(now, |cipher| cipher.seal(CONTEXT, session, nonce).ok())
    }

    fn open(&self, now: SystemTime, ticket: &[u8]) -> Option<Vec<u8>> {
        self.with_cipher(now, |cipher| cipher.open(CONTEXT, ticket))
    }
}

impl fmt::Debug for SessionTickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionTickets").finish_non_exhaustive()
    }
}

impl ProducesTickets for SessionTickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        self.seal(SystemTime::now(), session, rand::random())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.open(SystemTime::now(), ticket)
    }
}

/// Seconds since 1970.
pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: [u8; NONCE_LENGTH] = [1; NONCE_LENGTH];

    #[test]
    fn a_ticket_is_good_for_six_hours_and_for_twelve_at_most() {
        let begin = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let at = |hours: u64, minutes: u64| begin + Duration::from_secs(hours * 3600 + minutes * 60);
        let opens = |sealed_at, opened_at| {
            let tickets = SessionTickets::new(TicketKeys::generate(begin, &mut rand::rng()));
            let ticket = tickets.seal(sealed_at, b"session", NONCE).unwrap();
            // What others ask for meanwhile turns the keys.
            tickets.open(at(6, 1), b"nonsense");
            tickets.open(opened_at, &ticket).is_some_and(|session| session == b"session")
        };
        assert!(opens(at(0, 0), at(5, 59)));
        assert!(opens(at(5, 59), at(12, 0)));
        assert!(!opens(at(0, 0), at(12, 2)));
    }

    #[test]
    fn keys_that_rested_for_long_open_nothing() {
        let begin = UNIX_EPOCH;
        let tickets = SessionTickets::new(TicketKeys::generate(begin, &mut rand::rng()));
        let ticket = tickets.seal(begin, b"session", NONCE).unwrap();
        assert_eq!(tickets.open(begin + TURN * 2, &ticket), None);
    }

    #[test]
    fn another_process_opens_them_with_the_same_keys_and_not_without() {
        let now = SystemTime::now();
        let keys = TicketKeys::generate(now, &mut rand::rng());
        let one = SessionTickets::new(keys);
        let ticket = one.encrypt(b"session").unwrap();
        let two = SessionTickets::new(one.keys());
        assert_eq!(two.decrypt(&ticket).as_deref(), Some(b"session".as_slice()));
        let stranger = SessionTickets::new(TicketKeys::generate(now, &mut rand::rng()));
        assert_eq!(stranger.decrypt(&ticket), None);
    }
}

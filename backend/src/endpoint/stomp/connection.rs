//! The loop of a connection: what comes from its carrier, its timers, and when
//! it reads.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::time::{Duration, Instant};

use crate::endpoint::{Carrier, Opened, Services, echo};
use crate::stomp::Session;
use crate::ws::{CloseCode, Event, Reading};

use super::Closing;
use super::acknowledge::Subscribed;
use super::attending::Attending;
use super::frames::{Processing, processed};
use super::guard::Guard;
use super::writer::OpenOutbox;

/// A timer that is never reached.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// One STOMP session on its carrier.
pub(super) struct Connection<C> {
    pub(super) carrier: C,
    pub(super) session: Session,
    pub(super) session_id: Arc<str>,
    /// Who opened it, since CONNECT who it is, and what it may.
    pub(super) guard: Guard,
    /// Since it has connected.
    pub(super) attending: Option<Attending>,
    pub(super) outbox: OpenOutbox,
    /// By the key that the session gives.
    pub(super) subscriptions: HashMap<String, Subscribed>,
    pub(super) services: Arc<Services>,
    /// The frame being processed.
    pub(super) processing: Option<Processing>,
    /// When the write in progress has blocked too long.
    pub(super) write_deadline: Option<Instant>,
    /// When to leave, once the server drains.
    pub(super) leave_at: Option<Instant>,
    jitter: f64,
    /// Set when nothing more is read; what waits is still written.
    pub(super) closing: Option<Closing>,
}

impl<C: Carrier> Connection<C> {
    pub(super) fn new(carrier: C, services: Arc<Services>, opened: Opened) -> Self {
        let Opened { session: session_id, client, jitter } = opened;
        let now = Instant::now();
        Self {
            session: Session::new(Arc::clone(&services.stomp), &session_id, now),
            session_id,
            guard: Guard::new(&services, client, now),
            attending: None,
            outbox: OpenOutbox::new(&services),
            subscriptions: HashMap::new(),
            processing: None,
            write_deadline: None,
            leave_at: None,
            closing: None,
            carrier,
            services,
            jitter,
        }
    }

    /// Runs until the connection is to be closed, or is gone already.
    pub(super) async fn run(&mut self) -> Option<Closing> {
        let services = Arc::clone(&self.services);
        let leaving = services.lifecycle.closing().cancelled();
        let timer = tokio::time::sleep(NEVER);
        tokio::pin!(leaving, timer);
        loop {
            let now = Instant::now();
            if self.session.poll_timeout().is_some_and(|at| now >= at) {
                self.session.handle_timeout(now);
            }
            self.keep_guard(now);
            self.process(now);
            if let Some(end) = self.write(now) {
                return Some(end);
            }
            // A timer that fires early only costs a turn of the loop, so it is
            // moved when it would fire late, not at every write.
            let next = self.next_timer().unwrap_or(now + NEVER);
            if next < timer.deadline() || timer.is_elapsed() {
                timer.as_mut().reset(next);
            }
            let busy = self.processing.is_some() || self.guard.holds_back() || self.closing.is_some();
            let reading = if busy { Reading::Paused } else { Reading::On };
            let writing = self.carrier.is_unflushed();
            tokio::select! {
                event = self.carrier.event(reading) => {
                    if let Some(end) = self.handle_event(event) {
                        return end;
                    }
                }
                outcome = processed(&mut self.processing) => match outcome {
                    Ok(subscribed) => {
                        self.subscriptions.extend(subscribed);
                        self.session.accept(Instant::now());
                    }
                    Err(rejection) => {
                        self.session.reject(&rejection.message, &rejection.explanation);
                    }
                },
                decided = self.guard.decided() => self.decided(decided),
                () = self.outbox.filled(), if !writing => {}
                () = self.outbox.overflowed(), if writing => {}
                () = timer.as_mut() => {}
                () = &mut leaving, if self.leave_at.is_none() => {
                    let delay = services.jitter_window().mul_f64(self.jitter);
                    self.leave_at = Some(Instant::now() + delay);
                }
            }
        }
    }

    /// Handles one event; the inner option is the close frame to send, if the
    /// socket still takes one.
    fn handle_event(&mut self, event: Event) -> Option<Option<Closing>> {
        let now = Instant::now();
        match event {
            Event::Text(bytes) | Event::Binary(bytes) => self.receive(now, &bytes),
            Event::Alive => self.session.handle_bytes(now, b""),
            Event::Flushed => self.write_deadline = None,
            Event::Closed(code) => {
                tracing::debug!(session = %self.session_id, code, "client closed");
                return Some(Some((CloseCode::Normal, "")));
            }
            Event::Failed(failure) => return Some(echo::ended_by(&self.services, failure)),
        }
        None
    }

    /// Takes bytes of the client. All of them pass here, before they are decoded.
    fn receive(&mut self, now: Instant, bytes: &[u8]) {
        match self.guard.charge(now, bytes.len()) {
            Ok(()) => self.session.handle_bytes(now, bytes),
            Err(rejection) => self.reject(&rejection),
        }
    }

    /// Ends a session whose token is over, and reads on from one that was slowed
    /// down, whose silence was ours.
    fn keep_guard(&mut self, now: Instant) {
        match self.guard.handle_timeout(now) {
            Ok(true) => self.session.handle_bytes(now, b""),
            Ok(false) => {}
            Err(rejection) => self.reject(&rejection),
        }
    }

    fn next_timer(&self) -> Option<Instant> {
        let session = self.session.poll_timeout();
        let leave = self.leave_at.filter(|_| self.closing.is_none() && self.processing.is_none());
        session.into_iter().chain(self.guard.poll_timeout()).chain(self.write_deadline).chain(leave).min()
    }
}

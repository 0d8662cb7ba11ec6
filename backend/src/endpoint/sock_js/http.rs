//! SockJS frames in the responses of HTTP requests, the session's side.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use crate::broker::Item;
use crate::endpoint::{Carrier, Encoding, Services};
use crate::link::LinkEvent;
use crate::ws::{CloseCode, Event, Failure, Reading};

use super::session::Session;
use super::tally::{Reason, Tally};

/// A session that is carried by one request after the other.
#[derive(Debug)]
pub(super) struct LinkCarrier {
    session: Arc<Session>,
    services: Arc<Services>,
    tally: Tally,
}

impl LinkCarrier {
    /// Counts under this transport.
    pub(super) fn new(session: &Arc<Session>, services: &Arc<Services>, transport: &str) -> Self {
        Self {
            session: Arc::clone(session),
            services: Arc::clone(services),
            tally: Tally::new(services, transport),
        }
    }

    /// Ends the session for a reason that STOMP does not know of.
    fn end(&mut self, reason: Reason, code: u16, text: &str) -> Event {
        self.tally.end(reason);
        self.session.link.close(code, text);
        Event::Closed(Some(code))
    }

    fn handle(&mut self, event: LinkEvent) -> Option<Event> {
        match event {
            LinkEvent::Message(message) if message.len() > self.services.stomp_message_limit() => {
                Some(Event::Failed(Failure::TooLarge))
            }
            LinkEvent::Message(message) => Some(Event::Text(message)),
            LinkEvent::Attached | LinkEvent::Detached => None,
            LinkEvent::Broken => Some(self.end(Reason::Interrupted, 1002, "Connection interrupted")),
            LinkEvent::Overflowed => {
                let code = CloseCode::NotReliable.as_u16();
                Some(self.end(Reason::Overflow, code, "message cache overflow"))
            }
        }
    }

    /// When the session is given up, unless a request comes.
    fn abandoned_at(&self) -> Option<Instant> {
        let delay = self.services.config.sockjs.disconnect_delay;
        self.session.link.detached_at().map(|at| at + delay)
    }
}

impl Carrier for LinkCarrier {
    fn encoding(&self) -> Encoding {
        Encoding::Json
    }

    fn queue(&mut self, batch: &mut Vec<Item>) {
        for item in batch.drain(..) {
            // The link counts what it does not take.
            self.session.link.push(item);
        }
    }

    fn queue_ping(&mut self) {
        self.session.ping.notify_waiters();
    }

    /// What waits for a request is the link's, and bounded there.
    fn is_unflushed(&self) -> bool {
        false
    }

    fn disable_heart_beats(&mut self) {
        self.session.disable_heart_beats();
    }

    async fn event(&mut self, reading: Reading) -> Event {
        loop {
            let abandoned_at = self.abandoned_at();
            let abandoned = async {
                match abandoned_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let ended = tokio::select! {
                event = self.session.link.event(reading == Reading::On) => self.handle(event),
                // A request may have come since.
                () = abandoned => (self.abandoned_at() == abandoned_at)
                    .then(|| self.end(Reason::Abandoned, 3000, "Go away!")),
            };
            if let Some(event) = ended {
                return event;
            }
        }
    }

    async fn close(self, code: CloseCode, reason: &str, _deadline: Instant) {
        self.session.link.close(code.as_u16(), reason);
    }
}

//! From a message to its receivers: the clients of this instance first, then
//! the store and the other instances.

use crate::app::{Outgoing, Receivers};
use crate::broker::{Published, Receiver};
use crate::relay::{Address, Received};
use crate::store::Stored;

use super::{Content, Services};

impl Services {
    /// Sends what the application wants sent on behalf of a session. `now` is in
    /// milliseconds since 1970.
    ///
    /// # Cancel safety
    ///
    /// Dropped half way, some receivers have the message and some have not.
    pub async fn send(&self, outgoing: Outgoing, session: &str, now: u64) {
        let Outgoing { to, content_type, body, kept } = outgoing;
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        match to {
            Receivers::Destination(destination) => {
                if kept && self.store.is_on() {
                    self.store.record(Stored {
                        destination: destination.clone(),
                        content_type: content_type.to_owned(),
                        body: body.clone(),
                        timestamp: now,
                    });
                }
                self.publish(&Content::new(destination, headers, body)).await;
            }
            Receivers::User { name, queue } => {
                self.publish_to_user(&name, &Content::new(queue, headers, body)).await;
            }
            Receivers::Sender { queue } => {
                self.publish_to_party(Party::Session(session), &Content::new(queue, headers, body)).await;
            }
        }
    }

    /// Publishes a message to the subscribers of its destination, here and on
    /// the other instances.
    ///
    /// # Cancel safety
    ///
    /// Dropped half way, some subscribers have the message and some have not.
    pub async fn publish(&self, content: &Content) {
        self.publish_here(content).await;
        if self.relay.is_shared() {
            let address = Address::Destination(content.destination().to_owned());
            self.relay.publish(&address, content.content_type(), content.body());
        }
    }

    /// Publishes a message to the subscribers of this instance, and counts.
    ///
    /// # Cancel safety
    ///
    /// Dropped half way, some subscribers have the message and some have not.
    pub async fn publish_here(&self, content: &Content) {
        self.count(self.broker.publish(content.destination(), content).await);
    }

    /// Publishes a message, whose destination is a queue as `/queue/private`, to
    /// the sessions of a user, here and on the other instances.
    ///
    /// # Cancel safety
    ///
    /// Dropped half way, some sessions have the message and some have not.
    pub async fn publish_to_user(&self, name: &str, content: &Content) {
        self.publish_to_user_here(name, content).await;
        if self.relay.is_shared() {
            let address = Address::User { name: name.to_owned(), queue: content.destination().to_owned() };
            self.relay.publish(&address, content.content_type(), content.body());
        }
    }

    /// Delivers what another instance has published.
    ///
    /// # Cancel safety
    ///
    /// Dropped half way, some receivers have the message and some have not.
    pub async fn receive(&self, received: Received) {
        let Received { address, content_type, body } = received;
        let headers = content_type.map(|value| ("content-type".to_owned(), value)).into_iter().collect();
        match address {
            Address::Destination(destination) if self.receive_announcement(&destination, &body) => {}
            Address::Destination(destination) => {
                if self.receive_emitted(&destination, &body).await {
                    return;
                }
                self.publish_here(&Content::new(destination, headers, body)).await;
            }
            Address::Pattern(pattern) => {
                tracing::warn!(pattern, "message to a pattern received, and ignored");
            }
            Address::User { name, queue } => {
                self.publish_to_user_here(&name, &Content::new(queue, headers, body)).await;
            }
        }
    }

    async fn publish_to_user_here(&self, name: &str, content: &Content) {
        self.publish_to_party(Party::User(name), content).await;
    }

    /// Publishes a message, whose destination is a queue as `/queue/private`, to
    /// those that subscribed to it as this party, on this instance. The client
    /// sees the destination it subscribed to.
    pub(super) async fn publish_to_party(&self, party: Party<'_>, content: &Content) {
        let inner = party.queue(content.destination());
        let shown = content.clone().shown_as(format!("/user{}", content.destination()));
        self.count(self.broker.publish(&inner, &shown).await);
    }

    /// Delivers a message to one receiver and to nobody else.
    pub(super) fn reply(&self, receiver: &Receiver, content: &Content) {
        let delivered = u64::from(self.broker.deliver(receiver, content));
        self.count(Published { delivered, dropped: 1 - delivered });
    }

    /// Counts deliveries.
    pub(super) fn count(&self, published: Published) {
        self.metrics.websocket_messages_sent.inc_by(published.delivered);
        self.metrics.outbox_dropped.inc_by(published.dropped);
    }
}

/// Whose queue a message to `/user/…` is put in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Party<'a> {
    /// All sessions of this user.
    User(&'a str),
    /// The session of this id.
    Session(&'a str),
}

impl Party<'_> {
    /// The name of a queue inside the broker. No destination of a client is like
    /// it, since these begin with a slash, and no pattern matches it; the length
    /// keeps a name with slashes apart from the queue.
    pub(super) fn queue(self, queue: &str) -> String {
        match self {
            Self::User(name) => format!("user:{}:{name}{queue}", name.len()),
            Self::Session(id) => format!("session:{}:{id}{queue}", id.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_parties_share_a_queue_and_no_client_can_name_one() {
        let queues = [
            Party::User("ann").queue("/queue/x"),
            Party::Session("ann").queue("/queue/x"),
            Party::User("ann/queue/x").queue("/queue/y"),
            Party::User("ann").queue("/queue/x/queue/y"),
        ];
        for (n, queue) in queues.iter().enumerate() {
            assert!(!queue.starts_with('/'), "{queue}");
            assert!(!queues[..n].contains(queue), "{queue}");
        }
    }
}

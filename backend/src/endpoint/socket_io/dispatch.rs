//! From what a client wants to what its gateway decides, and to its being
//! done.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use serde_json::{Map, Value, json};

use crate::app::gateway::{Action, Event, Gateway, Handled, Others, Peer, Refusal};
use crate::auth::{AuthError, Client};
use crate::endpoint::Services;
use crate::metrics::Active;
use crate::relay::Interest;
use crate::socket_io::packet::ROOT;
use crate::socket_io::{Body, Packet, Payload};

use super::emit::address;
use super::member::{Member, SessionOutbox, Wire};
use super::{guard, new_id};

/// A client in a namespace; dropping it takes the client out.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) member: Arc<Member>,
    services: Arc<Services>,
    _active: Active,
    _interest: Interest,
}

impl Drop for Membership {
    fn drop(&mut self) {
        let emptied = self.services.socket_io.rooms.remove(&self.member);
        let emptied = i64::try_from(emptied).unwrap_or(i64::MAX);
        self.services.metrics.socket_io.rooms_active.sub(emptied);
    }
}

/// What the session must know of something that is done.
#[derive(Debug)]
pub(super) enum Processed {
    /// Nothing.
    Done,
    /// The client has joined a namespace.
    Connected(Box<Membership>),
    /// The gateway has put it out of one.
    Disconnected(Arc<str>),
}

/// The namespace that always exists, when the application does not serve it.
struct Silent;

impl Gateway for Silent {
    fn event(&self, peer: Peer, event: Event) -> BoxFuture<'_, Result<Handled, Refusal>> {
        drop((peer, event));
        ready(Ok(Handled::default())).boxed()
    }
}

/// The gateway of a namespace.
pub(super) fn gateway<'a>(services: &'a Services, namespace: &str) -> Option<&'a dyn Gateway> {
    let silent = (namespace == ROOT).then_some(&Silent as &dyn Gateway);
    services.application.gateway(namespace).or(silent)
}

/// Lets a client into a namespace, or tells it why not.
pub(super) async fn connect(
    services: Arc<Services>,
    outbox: Arc<SessionOutbox>,
    client: Arc<Client>,
    namespace: String,
    auth: Map<String, Value>,
) -> Processed {
    let errors = &services.metrics.socket_io.connect_errors;
    let refuse = |reason: &str, message: &str| {
        errors.with_label_values(&[reason]).inc();
        let error = json!({ "message": message });
        let packet = Packet { namespace: namespace.clone(), body: Body::ConnectError(error) };
        outbox.push(&Wire::new(&packet));
        Processed::Done
    };
    let Some(gateway) = gateway(&services, &namespace) else {
        return refuse("namespace", "Invalid namespace");
    };
    let client = match guard::authenticate(&services, &client, &auth).await {
        Ok(client) => client,
        Err(Refusal(message)) => return refuse("refused", &message),
    };
    let member = Arc::new(Member::new(new_id().into(), &namespace, client, Arc::clone(&outbox)));
    let actions = match gateway.connect(member.peer(), auth).await {
        Ok(actions) => actions,
        Err(Refusal(message)) => {
            tracing::info!(remote = %member.client.address, namespace, message, "client refused");
            return refuse("refused", &message);
        }
    };
    let interest = services.relay.interest(address(&namespace, None)).await;
    let mut welcome = Map::new();
    welcome.insert("sid".to_owned(), Value::from(&*member.id));
    // First the packet, so that no event comes before it.
    member.send(Body::Connect(welcome));
    services.socket_io.rooms.add(&member);
    let membership = Membership {
        member: Arc::clone(&member),
        _active: Active::new(&services.metrics.socket_io.clients_active),
        _interest: interest,
        services: Arc::clone(&services),
    };
    match act(&services, &member, actions).await {
        // Dropped here, it is taken out again.
        Processed::Disconnected(_) => Processed::Done,
        Processed::Done | Processed::Connected(_) => Processed::Connected(Box::new(membership)),
    }
}

/// Handles an event of a client.
pub(super) async fn event(
    services: Arc<Services>,
    member: Arc<Member>,
    id: Option<u64>,
    payload: Payload,
) -> Processed {
    services.metrics.websocket_messages_received.inc();
    let _timer = services.metrics.websocket_message_processing_time.start_timer();
    let Some(gateway) = gateway(&services, &member.namespace) else {
        return Processed::Done;
    };
    let Payload { args, attachments } = payload;
    let mut args = args.into_iter();
    let name = match args.next() {
        Some(Value::String(name)) => name,
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let event = Event { name, args: args.collect(), attachments };
    let cause = json!({ "pattern": event.name, "data": if event.attachments.is_empty() { event.data().clone() } else { Value::Null } });
    match gateway.event(member.peer(), event).await {
        Ok(Handled { actions, ack }) => {
            let processed = act(&services, &member, actions).await;
            if let (Some(id), Some(Event { args, attachments, .. })) = (id, ack) {
                member.send(Body::Ack { id, payload: Payload { args, attachments } });
            }
            processed
        }
        Err(Refusal(message)) => {
            // As NestJS reports a WsException.
            let exception = json!({ "status": "error", "message": message, "cause": cause });
            member.push(&Wire::event(&member.namespace, &Event::new("exception", exception), None));
            Processed::Done
        }
    }
}

/// Handles an acknowledgement of a client; one that nobody asked for is
/// ignored.
pub(super) async fn acknowledged(
    services: Arc<Services>,
    member: Arc<Member>,
    id: u64,
    payload: Payload,
) -> Processed {
    let (Some(tag), Some(gateway)) = (member.settle_ack(id), gateway(&services, &member.namespace)) else {
        return Processed::Done;
    };
    let Payload { args, attachments } = payload;
    let answer = Event { name: String::new(), args, attachments };
    let actions = gateway.acknowledged(member.peer(), tag, answer).await;
    act(&services, &member, actions).await
}

/// Puts a client out of its namespace, whose token has expired.
pub(super) async fn expire(services: Arc<Services>, member: Arc<Member>) -> Processed {
    services.security.ended(AuthError::Expired, member.client.address);
    let exception = json!({ "status": "error", "message": AuthError::Expired.to_string() });
    let actions = vec![Action::Emit(Event::new("exception", exception)), Action::Disconnect];
    act(&services, &member, actions).await
}

/// Tells the gateway that a client is gone, and takes it out of everything.
pub(super) async fn disconnect(services: &Services, membership: Membership, reason: &'static str) {
    let member = Arc::clone(&membership.member);
    let peer = member.peer();
    drop(membership);
    if let Some(gateway) = gateway(services, &member.namespace) {
        let actions = gateway.disconnect(peer, reason).await;
        for action in actions {
            if let Action::Broadcast { audience, event, .. } = action {
                services.emit(&member.namespace, &audience, Some(&member.id), &event).await;
            }
        }
    }
}

/// Carries out what a gateway wants.
async fn act(services: &Services, member: &Arc<Member>, actions: Vec<Action>) -> Processed {
    let metrics = &services.metrics.socket_io;
    for action in actions {
        match action {
            Action::Emit(event) => send(services, member, &event, None),
            Action::EmitWithAck { event, tag } => {
                let (id, forgotten) = member.owe_ack(tag);
                metrics.acks_dropped.inc_by(u64::from(forgotten));
                send(services, member, &event, Some(id));
            }
            Action::Broadcast { audience, others, event } => {
                let except = (others == Others::Only).then_some(&*member.id);
                services.emit(&member.namespace, &audience, except, &event).await;
            }
            Action::Join(room) => join(services, member, room).await,
            Action::Leave(room) => {
                if services.socket_io.rooms.leave(member, &room) {
                    metrics.rooms_active.dec();
                }
                member.rooms.lock().remove(&room);
            }
            Action::Disconnect => {
                member.send(Body::Disconnect);
                return Processed::Disconnected(Arc::clone(&member.namespace));
            }
        }
    }
    Processed::Done
}

fn send(services: &Services, member: &Member, event: &Event, id: Option<u64>) {
    let metrics = &services.metrics;
    let taken = member.push(&Wire::event(&member.namespace, event, id));
    if taken { metrics.websocket_messages_sent.inc() } else { metrics.outbox_dropped.inc() }
}

/// Events of this instance come at once, those of others when the relay is
/// ready; only then is the join acknowledged.
async fn join(services: &Services, member: &Arc<Member>, room: String) {
    if member.rooms.lock().contains_key(&room) {
        return;
    }
    member.rooms.lock().insert(room.clone(), None);
    if services.socket_io.rooms.join(member, &room) {
        services.metrics.socket_io.rooms_active.inc();
    }
    let interest = services.relay.interest(address(&member.namespace, Some(&room))).await;
    if let Some(joined) = member.rooms.lock().get_mut(&room) {
        *joined = Some(interest);
    }
}

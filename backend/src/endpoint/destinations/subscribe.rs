//! SUBSCRIBE frames.

use std::sync::Arc;

use crate::app::{Incoming, Rejection, Reply};
use crate::auth::Principal;
use crate::broker::{Pattern, Receiver, Subscription};
use crate::endpoint::clock::timestamp;
use crate::endpoint::presence::Member;
use crate::endpoint::publish::Party;
use crate::endpoint::{Content, Services};
use crate::relay::{Address, Interest};
use crate::stomp::Headers;

use super::history;
use super::route::{Route, is_broker, is_internal, route};
use super::{public_headers, unknown};

/// A subscription that a client asks for.
#[derive(Debug)]
pub(in crate::endpoint) struct Subscribing {
    /// To what.
    pub(in crate::endpoint) destination: String,
    /// All headers of the frame.
    pub(in crate::endpoint) headers: Headers,
    /// Where its deliveries go.
    pub(in crate::endpoint) receiver: Receiver,
    /// The client's session.
    pub(in crate::endpoint) session: Arc<str>,
    /// Who the client is.
    pub(in crate::endpoint) principal: Option<Arc<Principal>>,
}

/// What is held for a subscription; dropping it ends the subscription.
#[derive(Debug, Default)]
pub(in crate::endpoint) struct Registered {
    _subscriptions: Vec<Subscription>,
    _interest: Option<Interest>,
    _member: Option<Member>,
}

/// Carries out a SUBSCRIBE frame. When this returns, messages for the
/// destination reach the client, from the other instances too, and what answers
/// the subscription at once is in its outbox.
///
/// # Cancel safety
///
/// Dropped half way, nothing is registered.
pub(in crate::endpoint) async fn subscribe(
    services: &Services,
    subscribing: Subscribing,
) -> Result<Registered, Rejection> {
    let limit = history::requested(&subscribing.headers)?;
    let destination = subscribing.destination.as_str();
    match route(destination).ok_or_else(unknown)? {
        Route::Broker(_) if is_internal(destination) => Err(Rejection::new(
            "destination is internal",
            "subscribe to /user/queue/… for messages to this session",
        )),
        Route::Broker(_) if Pattern::is_pattern(destination) => match limit {
            Some(_) => Err(history::refused()),
            None => to_pattern(services, &subscribing).await,
        },
        Route::Broker(_) => to_broker(services, subscribing, limit).await,
        Route::User(_) | Route::Application(_) if limit.is_some() => Err(history::refused()),
        Route::User(queue) => to_user_queue(services, queue, &subscribing).await,
        Route::Application(name) => to_application(services, name.to_owned(), subscribing).await,
    }
}

async fn to_broker(
    services: &Services,
    subscribing: Subscribing,
    limit: Option<usize>,
) -> Result<Registered, Rejection> {
    let Subscribing { destination, receiver, session, principal, .. } = subscribing;
    let interest = services.relay.interest(Address::Destination(destination.clone())).await;
    let subscription = match limit {
        None => services.broker.subscribe(&destination, receiver),
        Some(limit) => history::subscribe(services, &destination, receiver, limit).await?,
    };
    let member = services.presence.join(&destination, &session, principal.as_deref());
    Ok(Registered { _subscriptions: vec![subscription], _interest: Some(interest), _member: member })
}

async fn to_pattern(services: &Services, subscribing: &Subscribing) -> Result<Registered, Rejection> {
    let pattern = Pattern::try_new(&subscribing.destination)
        .map_err(|error| Rejection::new("malformed destination pattern", error.to_string()))?;
    let interest = services.relay.interest(Address::Pattern(subscribing.destination.clone())).await;
    let subscription = services
        .broker
        .subscribe_pattern(pattern, subscribing.receiver.clone())
        .map_err(|error| Rejection::new("too many destination patterns", error.to_string()))?;
    Ok(Registered { _subscriptions: vec![subscription], _interest: Some(interest), _member: None })
}

/// `/user/queue/x`: messages to the user and messages to this session alone. A
/// session without a user stands for one, under its id.
async fn to_user_queue(
    services: &Services,
    queue: &str,
    subscribing: &Subscribing,
) -> Result<Registered, Rejection> {
    if !is_broker(queue) {
        return Err(unknown());
    }
    if Pattern::is_pattern(queue) {
        return Err(Rejection::new(
            "destination patterns are for /topic and /queue",
            "subscribe to each queue of the user by its name",
        ));
    }
    let Subscribing { session, principal, receiver, .. } = subscribing;
    let name = principal.as_ref().map_or(&**session, |principal| principal.name.as_str());
    let address = Address::User { name: name.to_owned(), queue: queue.to_owned() };
    let interest = services.relay.interest(address).await;
    let subscriptions = [Party::User(name), Party::Session(session)]
        .map(|party| services.broker.subscribe(&party.queue(queue), receiver.clone()));
    Ok(Registered { _subscriptions: subscriptions.into(), _interest: Some(interest), _member: None })
}

/// One reply, and nothing is registered; a later UNSUBSCRIBE has nothing to do.
async fn to_application(
    services: &Services,
    name: String,
    subscribing: Subscribing,
) -> Result<Registered, Rejection> {
    let Subscribing { destination, headers, receiver, session, principal } = subscribing;
    if let Some(presence) = services.presence.answer(&name) {
        services.reply(&receiver, &presence);
        return Ok(Registered::default());
    }
    let subscription = Incoming {
        destination: name,
        headers: public_headers(&headers),
        body: bytes::Bytes::new(),
        session: session.to_string(),
        principal,
        timestamp: timestamp(),
    };
    let Reply { content_type, body } = services.application.subscribe(subscription).await?;
    let headers = vec![("content-type".to_owned(), content_type.to_owned())];
    services.reply(&receiver, &Content::new(destination, headers, body));
    Ok(Registered::default())
}

//! SEND frames.

use std::sync::Arc;

use bytes::Bytes;

use crate::app::{Incoming, Rejection};
use crate::auth::Principal;
use crate::broker::Pattern;
use crate::config::ClientPublish;
use crate::endpoint::clock::timestamp;
use crate::endpoint::publish::Party;
use crate::endpoint::{Content, Services};
use crate::health::Notice;
use crate::relay::Resync;
use crate::stomp::Frame;

use super::route::{Route, UserQueue, route};
use super::{public_headers, unknown};

/// Routes a SEND frame of a client. When this returns, the message is in the
/// outboxes of its receivers.
pub(in crate::endpoint) async fn send(
    services: &Services,
    frame: Frame,
    session: &str,
    principal: Option<Arc<Principal>>,
) -> Result<(), Rejection> {
    services.metrics.websocket_messages_received.inc();
    let _timer = services.metrics.websocket_message_processing_time.start_timer();
    let destination = frame.headers.value("destination").unwrap_or_default();
    let content =
        |destination: &str, body: Bytes| Content::of_client(destination, frame.headers.iter(), body);
    match route(destination).ok_or_else(unknown)? {
        Route::Application(name) => {
            let now = timestamp();
            let message = Incoming {
                destination: name.to_owned(),
                headers: public_headers(&frame.headers),
                body: frame.body,
                session: session.to_owned(),
                principal,
                timestamp: now,
            };
            for outgoing in services.application.handle(message).await? {
                services.send(outgoing, session, now).await;
            }
        }
        Route::Broker(destination) => {
            check_publish(services, destination)?;
            services.publish(&content(destination, frame.body)).await;
        }
        Route::User(rest) => {
            let UserQueue { name, queue } = UserQueue::parse(rest).ok_or_else(unknown)?;
            check_publish(services, queue)?;
            let content = content(queue, frame.body);
            let is_sender = name == session || principal.is_some_and(|principal| principal.name == name);
            if is_sender {
                services.publish_to_party(Party::Session(session), &content).await;
            } else {
                services.publish_to_user(&name, &content).await;
            }
        }
    }
    Ok(())
}

/// Whether a client may publish to a destination of the broker.
fn check_publish(services: &Services, destination: &str) -> Result<(), Rejection> {
    match services.config.stomp.client_publish_to_topic {
        ClientPublish::Deny => Err(Rejection::new(
            "clients must not publish to broker destinations",
            "send to /app/…, or set stomp.client-publish-to-topic to allow",
        )),
        ClientPublish::Allow if Pattern::is_pattern(destination) => {
            Err(Rejection::new("destination is a pattern", "a message is sent to one destination"))
        }
        ClientPublish::Allow if is_of_server(services, destination) => {
            Err(Rejection::new("destination is the server's", "clients only subscribe to it"))
        }
        ClientPublish::Allow => Ok(()),
    }
}

/// Whether clients take what comes from a destination for the server's word.
fn is_of_server(services: &Services, destination: &str) -> bool {
    [Notice::DESTINATION, Resync::DESTINATION].contains(&destination)
        || services.presence.watched(destination).is_some()
}

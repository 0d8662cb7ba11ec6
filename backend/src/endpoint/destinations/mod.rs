//! What destinations mean: `/topic` is the broker's, `/app` the application's.
//! Prefixes end at a path boundary (Spring's broker compares characters, so
//! that `/topicfoo` is a topic there).

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::app::{Incoming, Rejection};
use crate::auth::Principal;
use crate::config::ClientPublish;
use crate::stomp::Frame;

use super::{Content, Services};

/// Longest destination in bytes.
const DESTINATION_LIMIT: usize = 512;

/// Where a destination leads.
#[derive(Debug, PartialEq, Eq)]
enum Route<'a> {
    /// To the broker.
    Topic,
    /// To the application, under the rest of its name.
    Application(&'a str),
    /// To a family that a later version serves.
    NotSupportedYet,
    /// Nowhere.
    Unknown,
}

fn route(destination: &str) -> Route<'_> {
    let in_family = |prefix| destination.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty());
    if destination.len() > DESTINATION_LIMIT {
        Route::Unknown
    } else if in_family("/topic/") {
        Route::Topic
    } else if in_family("/queue/") || in_family("/user/") {
        Route::NotSupportedYet
    } else {
        match destination.strip_prefix("/app/") {
            Some(rest) if !rest.is_empty() => Route::Application(rest),
            _ => Route::Unknown,
        }
    }
}

/// Whether a client may subscribe to the destination.
pub(super) fn check_subscribe(destination: &str) -> Result<(), Rejection> {
    match route(destination) {
        Route::Topic if destination.contains(['*', '?', '{', '}']) => Err(Rejection::new(
            "destination patterns are not supported yet",
            "subscribe to each destination by its name",
        )),
        Route::Topic => Ok(()),
        Route::Application(_) | Route::NotSupportedYet => {
            Err(Rejection::new("subscription is not supported yet", "only /topic/… can be subscribed to"))
        }
        Route::Unknown => Err(unknown()),
    }
}

/// Routes a SEND frame of a client. When this returns, the message is in the
/// outboxes of its receivers.
pub(super) async fn send(
    services: &Services,
    frame: Frame,
    session: &str,
    principal: Option<Arc<Principal>>,
) -> Result<(), Rejection> {
    let destination = frame.headers.value("destination").unwrap_or_default();
    services.metrics.websocket_messages_received.inc();
    let _timer = services.metrics.websocket_message_processing_time.start_timer();
    match route(destination) {
        Route::Application(name) => {
            let now = timestamp();
            let message = Incoming {
                destination: name.to_owned(),
                headers: frame.headers.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
                body: frame.body,
                session: session.to_owned(),
                principal,
                timestamp: now,
            };
            for outgoing in services.application.handle(message).await? {
                services.send(outgoing, session, now).await;
            }
            Ok(())
        }
        Route::Topic => match services.config.stomp.client_publish_to_topic {
            ClientPublish::Allow => {
                services.publish(&Content::of_client(destination, frame.headers.iter(), frame.body)).await;
                Ok(())
            }
            ClientPublish::Deny => Err(Rejection::new(
                "clients must not publish to broker destinations",
                "send to /app/…, or set stomp.client-publish-to-topic to allow",
            )),
        },
        Route::NotSupportedYet => Err(Rejection::new("destination is not supported yet", "send to /app/…")),
        Route::Unknown => Err(unknown()),
    }
}

/// Milliseconds since 1970.
fn timestamp() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn unknown() -> Rejection {
    Rejection::new("unknown destination", "known are /topic/… and /app/…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_at_a_path_boundary() {
        assert_eq!(route("/topic/room.general"), Route::Topic);
        assert_eq!(route("/app/room.general"), Route::Application("room.general"));
        assert_eq!(route("/user/queue/private"), Route::NotSupportedYet);
        for destination in ["/topicfoo", "/topic", "/topic/", "/app/", "room", ""] {
            assert_eq!(route(destination), Route::Unknown, "{destination}");
        }
        assert_eq!(route(&format!("/topic/{}", "x".repeat(600))), Route::Unknown);
    }

    #[test]
    fn only_exact_topics_can_be_subscribed_to() {
        assert_eq!(check_subscribe("/topic/a"), Ok(()));
        for destination in ["/topic/*", "/topic/**", "/queue/a", "/app/room.a", "/else"] {
            assert!(check_subscribe(destination).is_err(), "{destination}");
        }
    }
}

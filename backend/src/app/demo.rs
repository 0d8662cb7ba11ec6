//! The demo: chat rooms, auctions and private messages.
//!
//! | SEND to | body | goes to |
//! |---|---|---|
//! | `/app/room.{id}` | `{"text","from"?}` or text | `/topic/room.{id}`, kept |
//! | `/app/bid.{auction}` | `{"amount","bidder"?}` | `/topic/auction.{auction}`, kept |
//! | `/app/private.{user}` | as to a room | `/user/queue/private` of the user |
//!
//! An authenticated user speaks under its own name, whatever the body says. A
//! bid that is none, with an amount of zero, is answered to its sender on
//! `/user/queue/errors` and costs no session; whether it is the highest is for
//! the clients to see, since each instance knows its own bids only. Pure: body
//! and time in, messages out.

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use serde::{Deserialize, Serialize};

use super::{Application, Chat, Gateway, Incoming, Outgoing, Receivers, Rejection, rooms};

/// Where a user hears from another.
const PRIVATE: &str = "/queue/private";

/// Where a client hears that its message was in vain.
const ERRORS: &str = "/queue/errors";

/// Rooms, auctions and private messages without any memory of their own.
#[derive(Debug, Clone)]
pub struct Demo {
    instance: String,
    chat: Chat,
}

/// What a client sends to a room.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoomMessage {
    text: String,
    #[serde(default)]
    from: Option<String>,
}

/// What the subscribers of a room get.
#[derive(Debug, Serialize)]
struct RoomBroadcast<'a> {
    room: &'a str,
    from: &'a str,
    text: &'a str,
    instance: &'a str,
    timestamp: u64,
}

/// What a client sends to an auction.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bid {
    amount: serde_json::Number,
    #[serde(default)]
    bidder: Option<String>,
}

/// What the subscribers of an auction get.
#[derive(Debug, Serialize)]
struct BidBroadcast<'a> {
    auction: &'a str,
    bidder: &'a str,
    amount: serde_json::Number,
    instance: &'a str,
    timestamp: u64,
}

/// What the receiver of a private message gets.
#[derive(Debug, Serialize)]
struct PrivateMessage<'a> {
    to: &'a str,
    from: &'a str,
    text: &'a str,
    instance: &'a str,
    timestamp: u64,
}

/// What a client gets whose message was in vain.
#[derive(Debug, Serialize)]
struct Refused<'a> {
    destination: String,
    error: &'a str,
    timestamp: u64,
}

impl Demo {
    /// A demo that signs its broadcasts with the instance's name.
    #[must_use]
    pub fn new(instance: impl Into<String>) -> Self {
        let instance = instance.into();
        Self { chat: Chat::new(instance.clone()), instance }
    }

    fn respond(&self, message: &Incoming) -> Result<Outgoing, Rejection> {
        let Some((kind, id)) = message.destination.split_once('.') else {
            return Err(unknown());
        };
        match kind {
            "room" => self.room(id, message),
            "bid" => self.bid(id, message),
            "private" => self.private(id, message),
            _ => Err(unknown()),
        }
    }

    fn room(&self, room: &str, message: &Incoming) -> Result<Outgoing, Rejection> {
        let destination = rooms::room(room)?;
        let sent = room_message(&message.body)?;
        let broadcast = RoomBroadcast {
            room,
            from: sender(message, sent.from.as_deref()),
            text: &sent.text,
            instance: &self.instance,
            timestamp: message.timestamp,
        };
        outgoing(Receivers::Destination(destination), &broadcast)
    }

    fn bid(&self, auction: &str, message: &Incoming) -> Result<Outgoing, Rejection> {
        let destination = rooms::auction(auction)?;
        let bid: Bid = serde_json::from_slice(&message.body).map_err(|e| malformed(&e))?;
        if bid.amount.as_f64().is_none_or(|amount| !amount.is_finite() || amount <= 0.0) {
            let refused = Refused {
                destination: format!("/app/{}", message.destination),
                error: "amount must be above zero",
                timestamp: message.timestamp,
            };
            return outgoing(Receivers::Sender { queue: ERRORS.to_owned() }, &refused);
        }
        let broadcast = BidBroadcast {
            auction,
            bidder: sender(message, bid.bidder.as_deref()),
            amount: bid.amount,
            instance: &self.instance,
            timestamp: message.timestamp,
        };
        outgoing(Receivers::Destination(destination), &broadcast)
    }

    fn private(&self, user: &str, message: &Incoming) -> Result<Outgoing, Rejection> {
        let to = rooms::user(user)?;
        let sent = room_message(&message.body)?;
        let private = PrivateMessage {
            to,
            from: sender(message, sent.from.as_deref()),
            text: &sent.text,
            instance: &self.instance,
            timestamp: message.timestamp,
        };
        outgoing(Receivers::User { name: to.to_owned(), queue: PRIVATE.to_owned() }, &private)
    }
}

impl Application for Demo {
    fn handle(&self, message: Incoming) -> BoxFuture<'_, Result<Vec<Outgoing>, Rejection>> {
        ready(self.respond(&message).map(|broadcast| vec![broadcast])).boxed()
    }

    fn gateway(&self, namespace: &str) -> Option<&dyn Gateway> {
        (namespace == "/chat").then_some(&self.chat)
    }
}

/// The message in a body: a JSON object, or the text itself when the body is
/// not JSON at all.
fn room_message(body: &[u8]) -> Result<RoomMessage, Rejection> {
    let text =
        std::str::from_utf8(body).map_err(|_| Rejection::new("invalid message", "the body is not UTF-8"))?;
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| malformed(&error));
    }
    Ok(RoomMessage { text: text.to_owned(), from: None })
}

fn malformed(error: &serde_json::Error) -> Rejection {
    Rejection::new("invalid message", error.to_string())
}

fn unknown() -> Rejection {
    let known = "known are /app/room.{id}, /app/bid.{auction} and /app/private.{user}";
    Rejection::new("unknown destination", known)
}

/// Who speaks: the user, or who an anonymous client says it is.
fn sender<'a>(message: &'a Incoming, claimed: Option<&'a str>) -> &'a str {
    let user = message.principal.as_ref().map(|principal| principal.name.as_str());
    user.or(claimed).unwrap_or("anonymous")
}

fn outgoing(to: Receivers, message: &impl Serialize) -> Result<Outgoing, Rejection> {
    let body = serde_json::to_vec(message)
        .map_err(|error| Rejection::new("message cannot be written", error.to_string()))?;
    let kept = matches!(to, Receivers::Destination(_));
    Ok(Outgoing { to, content_type: "application/json", body: Bytes::from(body), kept })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::auth::Principal;

    fn incoming(destination: &str, body: &str, user: Option<&str>) -> Incoming {
        let principal = user.map(|name| {
            let principal = Principal { name: name.to_owned(), authorities: Vec::new(), expires_at: None };
            Arc::new(principal)
        });
        Incoming {
            destination: destination.to_owned(),
            headers: Vec::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            session: "s1".to_owned(),
            principal,
            timestamp: 1_700_000_000_000,
        }
    }

    fn send(message: &Incoming) -> Result<(Receivers, String), Rejection> {
        let sent = Demo::new("b1").respond(message)?;
        assert_eq!(sent.kept, matches!(sent.to, Receivers::Destination(_)));
        Ok((sent.to, String::from_utf8(sent.body.to_vec()).unwrap()))
    }

    #[track_caller]
    fn check(destination: &str, body: &str, to: &str, expected: &str) {
        let to = Receivers::Destination(to.to_owned());
        assert_eq!(send(&incoming(destination, body, None)), Ok((to, expected.to_owned())));
    }

    #[test]
    fn a_room_message_is_broadcast_with_instance_and_time() {
        check(
            "room.general",
            r#"{"text":"hi","from":"ann"}"#,
            "/topic/room.general",
            r#"{"room":"general","from":"ann","text":"hi","instance":"b1","timestamp":1700000000000}"#,
        );
    }

    #[test]
    fn a_room_takes_plain_text_too() {
        check(
            "room.a-1",
            "just text",
            "/topic/room.a-1",
            r#"{"room":"a-1","from":"anonymous","text":"just text","instance":"b1","timestamp":1700000000000}"#,
        );
    }

    #[test]
    fn a_bid_keeps_its_number() {
        check(
            "bid.42",
            r#"{"amount":10.50,"bidder":"bob"}"#,
            "/topic/auction.42",
            r#"{"auction":"42","bidder":"bob","amount":10.5,"instance":"b1","timestamp":1700000000000}"#,
        );
    }

    #[test]
    fn what_is_wrong_is_rejected() {
        for (destination, body) in [
            ("room.general", r#"{"text":1}"#),
            ("room.general", r#"{"text":"unfinished""#),
            ("room.general", r#"{"text":"a","extra":1}"#),
            ("room.", "text"),
            ("room.a/b", "text"),
            ("bid.1", "text"),
            ("bid.1", r#"{"amount":"7"}"#),
            ("private.", "text"),
            ("private.a/b", "text"),
            ("nowhere", "text"),
            ("nowhere.1", "text"),
        ] {
            assert!(send(&incoming(destination, body, None)).is_err(), "{destination} {body}");
        }
    }

    #[test]
    fn a_user_speaks_under_its_own_name() {
        for (destination, body, expected) in [
            ("room.a", r#"{"text":"hi","from":"eve"}"#, r#""from":"ann""#),
            ("bid.1", r#"{"amount":1,"bidder":"eve"}"#, r#""bidder":"ann""#),
            ("private.bob", r#"{"text":"hi","from":"eve"}"#, r#""from":"ann""#),
        ] {
            let (_, body) = send(&incoming(destination, body, Some("ann"))).unwrap();
            assert!(body.contains(expected), "{body}");
        }
    }

    #[test]
    fn a_private_message_goes_to_the_sessions_of_its_user() {
        let (to, body) = send(&incoming("private.bob@example.com", "psst", Some("ann"))).unwrap();
        assert_eq!(to, Receivers::User { name: "bob@example.com".to_owned(), queue: PRIVATE.to_owned() });
        let expected = r#"{"to":"bob@example.com","from":"ann","text":"psst","instance":"b1","timestamp":1700000000000}"#;
        assert_eq!(body, expected);
    }

    #[test]
    fn a_bid_of_nothing_is_answered_to_its_sender() {
        for body in [r#"{"amount":-7}"#, r#"{"amount":0}"#] {
            let (to, body) = send(&incoming("bid.1", body, None)).unwrap();
            assert_eq!(to, Receivers::Sender { queue: ERRORS.to_owned() });
            let expected = r#"{"destination":"/app/bid.1","error":"amount must be above zero","timestamp":1700000000000}"#;
            assert_eq!(body, expected);
        }
    }
}

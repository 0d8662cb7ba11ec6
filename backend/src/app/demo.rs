//! The demo: chat rooms and auctions.
//!
//! `/app/room.{id}` broadcasts to `/topic/room.{id}`, `/app/bid.{auction}` to
//! `/topic/auction.{auction}`. Pure: body and time in, broadcasts out.

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use serde::{Deserialize, Serialize};

use super::{Application, Chat, Gateway, Incoming, Outgoing, Receivers, Rejection};

/// Longest id of a room or an auction, in bytes.
const ID_LIMIT: usize = 64;

/// Rooms and auctions without any memory of their own.
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

impl Demo {
    /// A demo that signs its broadcasts with the instance's name.
    #[must_use]
    pub fn new(instance: impl Into<String>) -> Self {
        let instance = instance.into();
        Self { chat: Chat::new(instance.clone()), instance }
    }

    fn respond(&self, message: &Incoming) -> Result<Outgoing, Rejection> {
        if let Some(room) = message.destination.strip_prefix("room.") {
            return self.room(checked_id(room)?, message);
        }
        if let Some(auction) = message.destination.strip_prefix("bid.") {
            return self.bid(checked_id(auction)?, message);
        }
        let known = "known are /app/room.{id} and /app/bid.{auction}";
        Err(Rejection::new("unknown destination", known))
    }

    fn room(&self, room: &str, message: &Incoming) -> Result<Outgoing, Rejection> {
        let sent = room_message(&message.body)?;
        broadcast(
            format!("/topic/room.{room}"),
            &RoomBroadcast {
                room,
                from: sent.from.as_deref().unwrap_or("anonymous"),
                text: &sent.text,
                instance: &self.instance,
                timestamp: message.timestamp,
            },
        )
    }

    fn bid(&self, auction: &str, message: &Incoming) -> Result<Outgoing, Rejection> {
        let bid: Bid = serde_json::from_slice(&message.body).map_err(|e| malformed(&e))?;
        if bid.amount.as_f64().is_none_or(|amount| !amount.is_finite() || amount <= 0.0) {
            return Err(Rejection::new("invalid bid", "amount must be above zero"));
        }
        broadcast(
            format!("/topic/auction.{auction}"),
            &BidBroadcast {
                auction,
                bidder: bid.bidder.as_deref().unwrap_or("anonymous"),
                amount: bid.amount,
                instance: &self.instance,
                timestamp: message.timestamp,
            },
        )
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

/// Letters, digits, `-` and `_`, so that an id cannot look like another
/// destination.
fn checked_id(id: &str) -> Result<&str, Rejection> {
    let allowed = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    if id.is_empty() || id.len() > ID_LIMIT || !id.chars().all(allowed) {
        let rule = format!("an id is 1 to {ID_LIMIT} bytes of letters, digits, - and _");
        return Err(Rejection::new("invalid destination", rule));
    }
    Ok(id)
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

fn broadcast(destination: String, message: &impl Serialize) -> Result<Outgoing, Rejection> {
    let body = serde_json::to_vec(message)
        .map_err(|error| Rejection::new("message cannot be written", error.to_string()))?;
    Ok(Outgoing {
        to: Receivers::Destination(destination),
        content_type: "application/json",
        body: Bytes::from(body),
        kept: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(destination: &str, body: &str) -> Result<(String, String), String> {
        let message = Incoming {
            destination: destination.to_owned(),
            headers: Vec::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            session: "s1".to_owned(),
            principal: None,
            timestamp: 1_700_000_000_000,
        };
        let sent = Demo::new("b1").respond(&message).map_err(|error| error.to_string())?;
        let Receivers::Destination(to) = sent.to else { panic!("{:?}", sent.to) };
        Ok((to, String::from_utf8(sent.body.to_vec()).unwrap()))
    }

    #[track_caller]
    fn check(destination: &str, body: &str, to: &str, expected: &str) {
        assert_eq!(send(destination, body), Ok((to.to_owned(), expected.to_owned())));
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
            ("bid.1", r#"{"amount":-7}"#),
            ("nowhere", "text"),
        ] {
            assert!(send(destination, body).is_err(), "{destination} {body}");
        }
    }
}
